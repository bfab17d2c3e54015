// Names for the speakers. They are kept on the page alone, and shown wherever a speaker is named.
import { TEXTS } from "./texts.js";

const at = (id) => document.getElementById(id);
const given = new Map();

/** What a speaker is called: the name that somebody gave, or that of the results in the language of the page. */
export function nameOf(speaker) {
  const number = /^(?:channel|speaker) (\d+)$/.exec(speaker ?? "")?.[1];
  return given.get(speaker) || (number ? TEXTS.speaker(number) : (speaker ?? ""));
}

export function forgetNames() {
  given.clear();
  for (const field of at("names").querySelectorAll("label")) field.remove();
  at("names").hidden = true;
}

/** Offer a field for each speaker that has none yet; `changed` is called after each key. */
export function offerNames(speakers, changed) {
  for (const speaker of speakers) {
    if (!speaker || [...at("names").querySelectorAll("input")].some((field) => field.dataset.speaker === speaker)) continue;
    const label = document.createElement("label");
    const field = document.createElement("input");
    field.dataset.speaker = speaker;
    field.maxLength = 60;
    field.autocomplete = "off";
    field.placeholder = nameOf(speaker);
    field.setAttribute("aria-label", TEXTS.speakerName(nameOf(speaker)));
    field.addEventListener("input", () => {
      given.set(speaker, field.value.trim());
      changed();
    });
    label.append(field);
    at("names").append(label);
  }
  at("names").hidden = !at("names").querySelector("input");
}
