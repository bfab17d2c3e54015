// All segments beside the timeline: time, speaker, emotion, words; search, filter, playback marks.
import { swatch } from "./drawing.js";
import { TEXTS, named, percent } from "./texts.js";
import { clock } from "./timeline.js";

const at = (id) => document.getElementById(id);
const UNSURE = 0.5; // score of an emotion
const FAINT = 0.6; // confidence of speech recognition

export class Segments {
  /** `onChoose` is called with the result of a segment that is selected. */
  constructor(onChoose, nameOf) {
    Object.assign(this, { onChoose, nameOf, items: new Map(), shown: null, marked: new Set(), chosen: null });
    at("search").addEventListener("input", () => this.search());
    at("show-all").addEventListener("click", () => this.onShowAll?.());
  }

  clear() {
    this.items.clear();
    this.marked.clear();
    this.shown = this.chosen = null;
    at("search").value = "";
    at("rows").replaceChildren();
    this.search();
  }

  add(results) {
    const made = results.map((result) => {
      const item = this.item(result);
      this.items.set(result, item);
      return item;
    });
    at("rows").append(...made);
    at("search-box").hidden = ![...this.items.keys()].some((result) => result.transcript);
    this.search();
  }

  item(result) {
    const item = document.createElement("li");
    const press = document.createElement("button");
    press.type = "button";
    press.setAttribute("aria-label", [TEXTS.choose(clock(result.start), result.emotion ? named(result.emotion) : TEXTS.noAnswer), result.transcript].filter(Boolean).join(". "));
    const time = document.createElement("time");
    time.textContent = clock(result.start);
    const claim = document.createElement("span");
    claim.className = "claim";
    if (result.emotion) {
      const score = result.scores[result.emotion];
      const share = document.createElement("small");
      share.textContent = percent(score);
      claim.append(swatch(result.emotion), named(result.emotion), share);
      claim.classList.toggle("unsure", score < UNSURE);
      if (score < UNSURE) claim.title = TEXTS.unsureHint;
    } else claim.textContent = TEXTS.noAnswer;
    press.append(time, claim);
    const who = document.createElement("span");
    who.className = "who";
    const words = document.createElement("span");
    words.className = "said";
    if (result.speaker) press.append(who);
    if (result.transcript) press.append(words);
    if (result.transcript_confidence !== null) words.title = TEXTS.wordsRecognised(result.transcript_confidence);
    words.classList.toggle("faint", (result.transcript_confidence ?? 1) < FAINT);
    press.addEventListener("click", () => this.onChoose(result));
    item.append(press);
    this.fill(item, result, "");
    return item;
  }

  /** Write name and words; what was searched is marked. */
  fill(item, result, searched) {
    const who = item.querySelector(".who");
    if (who) who.textContent = this.nameOf(result.speaker);
    const words = item.querySelector(".said");
    if (!words) return;
    const text = result.transcript;
    const place = searched ? text.toLocaleLowerCase().indexOf(searched) : -1;
    if (place < 0) return void (words.textContent = text);
    const mark = document.createElement("mark");
    mark.textContent = text.slice(place, place + searched.length);
    words.replaceChildren(text.slice(0, place), mark, text.slice(place + searched.length));
  }

  /** Show what has the searched words and an emotion that is not filtered out. */
  search() {
    const searched = at("search").value.trim().toLocaleLowerCase();
    let count = 0;
    for (const [result, item] of this.items) {
      const hit = (!searched || (result.transcript ?? "").toLocaleLowerCase().includes(searched)) && (!this.shown || this.shown.has(result.emotion));
      item.hidden = !hit;
      count += hit;
      this.fill(item, result, searched);
    }
    const narrowed = Boolean(searched || this.shown);
    at("found").textContent = !narrowed || !this.items.size ? "" : count ? TEXTS.found(count, this.items.size) : TEXTS.noneFound;
    at("show-all").hidden = !narrowed;
  }

  filter(shown) {
    this.shown = shown;
    this.search();
  }

  choose(result) {
    this.items.get(this.chosen)?.classList.remove("chosen");
    this.chosen = result;
    const item = this.items.get(result);
    item?.classList.add("chosen");
    this.bring(item);
  }

  /** Mark what is heard, and follow it. */
  follow(results) {
    if (results.length === this.marked.size && results.every((result) => this.marked.has(result))) return;
    for (const result of this.marked) this.items.get(result)?.classList.remove("heard");
    this.marked = new Set(results);
    for (const result of results) this.items.get(result)?.classList.add("heard");
    if (results.length) this.bring(this.items.get(results[0]));
  }

  /** Scroll the list alone, not the page. */
  bring(item) {
    if (!item) return;
    const box = at("scroll");
    const top = item.offsetTop - box.offsetTop;
    if (top < box.scrollTop || top + item.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 3;
  }
}
