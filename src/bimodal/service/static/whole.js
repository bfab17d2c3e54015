// A long recording as a whole: shares of the emotions, when it turns, its most telling moments.
import { paint, swatch } from "./drawing.js";
import { TEXTS, named, percent, told } from "./texts.js";
import { clock, length } from "./timeline.js";

const at = (id) => document.getElementById(id);
const MOST_TURNS = 24;

/** Show a summary; `state` has duration, nameOf, open (start, end), progress (null at the end), voiceOnly, messages. */
export function showWhole(summary, state) {
  at("empty").hidden = at("filled").hidden = true;
  at("whole").hidden = false;
  at("back").hidden = true;
  at("answer-of").hidden = false;
  at("answer-of").textContent = TEXTS.whole;
  headline(summary, state);
  at("whole-shares").hidden = summary.abstained;
  at("whole-shares").replaceChildren(...shares(summary, state));
  turns(summary, state);
  moments(summary, state);
  at("whole-warnings").replaceChildren(...(state.messages ?? []).map((message) => element("li", told(message))));
}

function element(name, text, kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function headline(summary, { duration, progress, voiceOnly }) {
  const line = at("whole-headline");
  if (summary.abstained) line.replaceChildren(progress === null ? TEXTS.noAnswer : TEXTS.starting);
  else line.replaceChildren(swatch(summary.dominant), TEXTS.mostly(named(summary.dominant), summary.shares[summary.dominant]), element("small", TEXTS.ofSpeech(summary.shares[summary.dominant])));
  const lines = [TEXTS.wholeLine(length(summary.speech_seconds), length(duration))];
  if (progress !== null) lines.push(TEXTS.soFar(progress));
  else if (voiceOnly) lines.push(TEXTS.voiceOnly);
  at("whole-line").textContent = summary.abstained && progress === null ? told({ code: "no-speech" }) : lines.join(" ");
}

/** One bar for all and one for each speaker, and the shares in words. */
function shares(summary, { nameOf }) {
  const several = summary.speakers.length > 1;
  const rows = [{ name: several ? TEXTS.everybody : "", shares: summary.shares }];
  if (several) rows.push(...summary.speakers.map((one) => ({ name: nameOf(one.speaker), shares: one.shares })));
  return rows.map(({ name, shares: row }) => {
    const ordered = Object.entries(row).filter(([, share]) => share >= 0.005).sort((one, other) => other[1] - one[1]);
    const block = element("div", "", "share");
    const bar = element("div", "", "share-bar");
    bar.setAttribute("aria-hidden", "true");
    for (const [emotion, share] of ordered) {
      const part = paint(document.createElement("span"), emotion);
      part.style.width = `${100 * share}%`;
      bar.append(part);
    }
    const words = element("p", "", "share-words");
    for (const [emotion, share] of ordered) {
      const one = element("span", "");
      one.append(swatch(emotion), `${named(emotion)} ${percent(share)}`);
      words.append(one);
    }
    block.append(...(name ? [element("strong", name)] : []), bar, words);
    return block;
  });
}

/** Phases one after the other: pressing one shows it. */
function turns({ phases, abstained, speakers }, { nameOf, open }) {
  at("whole-turns-title").hidden = abstained;
  const several = speakers.length > 1;
  if (!several && phases.length === 1) return at("whole-turns").replaceChildren(element("li", TEXTS.noTurns(named(phases[0].emotion)), "plain"));
  const shown = [...phases].sort((one, other) => other.end - other.start - (one.end - one.start)).slice(0, MOST_TURNS);
  at("whole-turns").replaceChildren(
    ...phases.filter((phase) => shown.includes(phase)).map((phase) => {
      const press = jump(phase, open, false);
      if (several && phase.speaker) press.append(element("small", nameOf(phase.speaker)));
      return listed(press);
    }),
  );
}

function moments({ highlights, abstained }, { nameOf, open }) {
  at("whole-moments-title").hidden = abstained;
  at("whole-moments").replaceChildren(
    ...highlights.map((moment) => {
      const press = jump(moment, open, true);
      press.append(element("small", percent(moment.score)));
      if (moment.speaker) press.append(element("small", nameOf(moment.speaker)));
      if (moment.transcript) press.append(element("q", moment.transcript));
      return listed(press);
    }),
  );
  if (!highlights.length && !abstained) at("whole-moments").replaceChildren(element("li", TEXTS.noMoments, "plain"));
}

const listed = (child) => {
  const item = document.createElement("li");
  item.append(child);
  return item;
};

function jump(part, open, play) {
  const press = element("button", "");
  press.type = "button";
  press.append(element("time", play ? clock(part.start) : `${length(part.start)} – ${length(part.end)}`), swatch(part.emotion), element("b", named(part.emotion)));
  press.addEventListener("click", () => open(part, play));
  if (play) press.setAttribute("aria-label", TEXTS.playFrom(clock(part.start), named(part.emotion)));
  return press;
}
