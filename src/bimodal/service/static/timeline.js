// Timeline of a recording: waveform, emotions of each speaker, zoom, overview, playback.
import { prepare, shade, swatch } from "./drawing.js";
import { drawLane, drawOverview, drawWave } from "./lanes.js";
import { outline } from "./outline.js";
import { TEXTS, named, percent } from "./texts.js";

const at = (id) => document.getElementById(id);
const NEAREST = 4; // seconds that the closest view shows
const STEP = 1.6; // one step of the zoom
const LANE = 92; // pixels
const NAME = 18; // pixels of the line with the name of a speaker, where there are several
const STEPS = [0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800];

export function clock(seconds) {
  const whole = Math.round(10 * Math.max(0, seconds)) / 10;
  const minutes = Math.floor(whole / 60);
  const rest = (whole % 60).toFixed(1).padStart(4, "0");
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

/** A length without tenths. */
export const length = (seconds) => clock(Math.round(seconds)).replace(/\.0$/, "");

export class Timeline {
  /** Calls `onChoose` with a segment that is selected, `onPlay` with the segments that are heard, `nameOf` for names. */
  constructor({ onChoose, onPlay, nameOf }) {
    Object.assign(this, { onChoose, onPlay, nameOf, results: [], phases: [], chosen: null, shown: null, peaks: [] });
    this.audio = at("audio");
    at("play").addEventListener("click", () => this.toggle());
    for (const [event, on] of [["play", true], ["pause", false], ["ended", false]]) this.audio.addEventListener(event, () => this.playing(on));
    this.audio.addEventListener("timeupdate", () => this.tick());
    this.audio.addEventListener("seeking", () => this.tick());
    this.audio.addEventListener("error", () => this.address && this.mute());
    at("zoom-in").addEventListener("click", () => this.zoom(STEP));
    at("zoom-out").addEventListener("click", () => this.zoom(1 / STEP));
    at("zoom-all").addEventListener("click", () => this.show(0, this.duration));
    this.pointer();
    new ResizeObserver(() => this.draw()).observe(at("band"));
  }

  pointer() {
    const band = at("band");
    band.addEventListener("click", (event) => this.click(event));
    band.addEventListener("keydown", (event) => this.key(event));
    at("wave").addEventListener("click", (event) => this.seek(this.timeAt(event)));
    for (const surface of [band, at("wave")]) surface.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    band.addEventListener("pointermove", (event) => this.hover(event));
    band.addEventListener("pointerleave", () => (at("tip").hidden = true));
    const move = (event) => event.buttons && this.centre(((event.clientX - at("overview").getBoundingClientRect().left) / at("overview").clientWidth) * this.duration);
    at("overview").addEventListener("pointerdown", (event) => {
      at("overview").setPointerCapture(event.pointerId);
      move(event);
    });
    at("overview").addEventListener("pointermove", move);
  }

  /** Show a recording whose results come later. */
  open(file, duration) {
    this.close();
    at("timeline").hidden = false;
    this.duration = duration;
    this.view = { from: 0, to: duration };
    this.address = URL.createObjectURL(file);
    this.audio.src = this.address;
    at("play").disabled = false;
    at("play").title = "";
    this.playing(false);
    this.tick();
    const { address } = this;
    outline(file).then((peaks) => this.address === address && !this.peaks.length && this.outline(peaks));
  }

  /** Take the waveform. */
  outline(peaks) {
    this.peaks = peaks ?? [];
    this.draw();
  }

  close() {
    this.audio.pause();
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = null;
    this.audio.removeAttribute("src");
    Object.assign(this, { results: [], phases: [], chosen: null, shown: null, peaks: [], until: null });
    at("legend").replaceChildren();
    at("timeline-summary").textContent = "";
    at("timeline").hidden = at("tip").hidden = true;
  }

  progress(share) {
    at("progress").hidden = share === null;
    if (share === null) return;
    at("progress").value = share;
    at("timeline-summary").textContent = TEXTS.analysing(share);
  }

  /** Take more results; `phases` those of a summary so far. */
  add(results, phases = null) {
    this.results.push(...results);
    if (phases) this.phases = phases;
    const spoken = this.results.find((result) => !result.abstained);
    this.order = Object.keys(spoken?.scores ?? {}).sort((one, other) => (other === "neutral") - (one === "neutral"));
    if (!at("legend").children.length && spoken) this.legend();
    this.draw();
  }

  ended() {
    const spoken = this.results.filter((result) => !result.abstained);
    at("timeline-summary").textContent = spoken.length ? TEXTS.analysed(spoken.length) : TEXTS.summaryNone;
  }

  /** Buttons that filter by emotion. */
  legend() {
    const made = this.order.map((emotion) => {
      const press = document.createElement("button");
      press.type = "button";
      press.className = "filter";
      press.setAttribute("aria-pressed", "false");
      press.append(swatch(emotion), named(emotion));
      press.addEventListener("click", () => {
        const shown = this.shown ?? new Set();
        if (!shown.delete(emotion)) shown.add(emotion);
        this.filter(shown.size ? shown : null);
        press.setAttribute("aria-pressed", String(shown.has(emotion)));
      });
      return press;
    });
    at("legend").replaceChildren(...made);
  }

  filter(shown) {
    this.shown = shown;
    this.draw();
    this.onFilter?.();
  }

  lanes() {
    const speakers = [...new Set(this.results.map((result) => result.speaker))];
    return speakers.map((speaker) => ({
      speaker,
      results: this.results.filter((result) => result.speaker === speaker),
      phases: this.phases.filter((phase) => phase.speaker === speaker),
    }));
  }

  choose(result, play) {
    this.chosen = result ?? null;
    if (result) {
      this.reveal(result.start, result.end);
      if (play) this.playFrom(result.start, result.end);
      this.onChoose(result);
    }
    this.draw();
  }

  /** Frame a segment without playback and without calling `onChoose`; null for none. */
  mark(result) {
    this.chosen = result;
    this.draw();
  }

  // ---- playback -----------------------------------------------------------------------------------------------------

  toggle() {
    this.until = null;
    if (this.audio.paused) this.audio.play().catch(() => this.mute());
    else this.audio.pause();
  }

  playFrom(start, end = null) {
    this.audio.currentTime = start;
    this.until = end;
    this.audio.play().catch(() => this.mute());
  }

  seek(time) {
    this.audio.currentTime = time;
    this.until = null;
    const found = this.results.find((result) => result.start <= time && time < result.end);
    if (found) this.choose(found, false);
    this.tick();
  }

  mute() {
    if (!this.audio.error && this.audio.readyState) return; // only interrupted
    at("play").disabled = true;
    at("play").title = TEXTS.noPlayback;
  }

  playing(on) {
    at("play").textContent = on ? TEXTS.pause : TEXTS.play;
    cancelAnimationFrame(this.frame);
    const follow = () => {
      this.tick();
      this.frame = requestAnimationFrame(follow);
    };
    if (on) follow();
  }

  tick() {
    if (!this.address) return;
    const time = this.audio.currentTime || 0;
    if (this.until !== null && time >= this.until && !this.audio.paused) {
      this.until = null;
      this.audio.pause();
    }
    at("clock").textContent = `${clock(time)} / ${clock(this.duration)}`;
    if (!this.audio.paused && (time < this.view.from || time > this.view.to)) this.centre(time);
    this.onPlay(this.results.filter((result) => result.start <= time && time < result.end && !result.abstained));
    this.draw();
  }

  // ---- zoom ---------------------------------------------------------------------------------------------------------

  /** Show the times from one to another, within the recording. */
  show(from, to) {
    const span = Math.min(this.duration, Math.max(Math.min(NEAREST, this.duration), to - from));
    const start = Math.min(Math.max(0, from), this.duration - span);
    this.view = { from: start, to: start + span };
    this.draw();
  }

  centre(time) {
    const span = this.view.to - this.view.from;
    this.show(time - span / 2, time + span / 2);
  }

  reveal(start, end) {
    if (start < this.view.from || end > this.view.to) this.centre((start + end) / 2);
  }

  zoom(factor, around = null) {
    const { from, to } = this.view;
    const middle = around ?? (this.chosen && this.chosen.start >= from && this.chosen.end <= to ? this.chosen.start : (from + to) / 2);
    this.show(middle - (middle - from) / factor, middle + (to - middle) / factor);
  }

  wheel(event) {
    const span = this.view.to - this.view.from;
    if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(-event.deltaY / 200), this.timeAt(event));
    else if ((event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) && span < this.duration) {
      const moved = ((event.deltaX || event.deltaY) / at("band").clientWidth) * span;
      this.show(this.view.from + moved, this.view.to + moved);
    } else return;
    event.preventDefault();
  }

  key(event) {
    const span = this.view.to - this.view.from;
    const moves = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key === "+" || event.key === "=") this.zoom(STEP);
    else if (event.key === "-") this.zoom(1 / STEP);
    else if (event.key === "Home") this.show(0, this.duration);
    else if (event.key === "End") this.choose(this.results.at(-1), false);
    else if (event.key === "Enter" || event.key === " ") this.choose(this.chosen ?? this.results[0], true);
    else if (event.key in moves && event.shiftKey) this.show(this.view.from + (moves[event.key] * span) / 4, this.view.to + (moves[event.key] * span) / 4);
    else if (event.key in moves && this.results.length) {
      const now = this.chosen ? this.results.indexOf(this.chosen) : moves[event.key] > 0 ? -1 : this.results.length;
      this.choose(this.results[Math.max(0, Math.min(this.results.length - 1, now + moves[event.key]))], false);
    } else return;
    event.preventDefault();
  }

  // ---- pointer ------------------------------------------------------------------------------------------------------

  timeAt(event) {
    const box = at("band").getBoundingClientRect();
    return this.view.from + ((event.clientX - box.left) / box.width) * (this.view.to - this.view.from);
  }

  /** The segment below the pointer. */
  under(event) {
    const lanes = this.lanes();
    const box = at("band").getBoundingClientRect();
    const time = this.timeAt(event);
    return lanes[Math.floor(((event.clientY - box.top) / box.height) * lanes.length)]?.results.find((result) => result.start <= time && time < result.end);
  }

  click(event) {
    const found = this.under(event);
    if (found) this.choose(found, true);
    else this.seek(this.timeAt(event));
  }

  /** Time, scores and words below the pointer. */
  hover(event) {
    const found = this.under(event);
    const tip = at("tip");
    tip.hidden = !found || found.abstained;
    if (tip.hidden) return;
    const head = document.createElement("strong");
    head.textContent = [`${clock(found.start)} – ${clock(found.end)}`, found.speaker && this.nameOf(found.speaker)].filter(Boolean).join(" · ");
    const scores = Object.entries(found.scores).sort((one, other) => other[1] - one[1]).slice(0, 3);
    const lines = scores.map(([emotion, score]) => {
      const line = document.createElement("span");
      line.append(swatch(emotion), `${named(emotion)} ${percent(score)}`);
      return line;
    });
    const words = document.createElement("q");
    words.textContent = found.transcript ?? "";
    tip.replaceChildren(head, ...lines, ...(found.transcript ? [words] : []));
    const box = at("band").getBoundingClientRect();
    const left = event.clientX - box.left;
    tip.style.left = `${Math.max(0, Math.min(box.width - tip.offsetWidth, left + (left > box.width / 2 ? -tip.offsetWidth - 14 : 14)))}px`;
    tip.style.top = `${at("band").offsetTop + event.clientY - box.top + 16}px`;
  }

  // ---- drawing ------------------------------------------------------------------------------------------------------

  draw() {
    if (at("timeline").hidden || !this.address) return;
    const lanes = this.lanes();
    const time = this.audio.currentTime || 0;
    const name = lanes.length > 1 ? NAME : 0;
    at("band").style.height = `${(LANE + name) * Math.max(1, lanes.length)}px`;
    drawWave(at("wave"), this.peaks, this.duration, this.view, time);
    const { context, width, height } = prepare(at("band"));
    const tall = height / Math.max(1, lanes.length);
    lanes.forEach((lane, index) => {
      const chosen = this.chosen?.speaker === lane.speaker ? this.chosen : null;
      drawLane(context, lane, { top: index * tall + name, height: tall - name - 6, width, view: this.view, shown: this.shown, order: this.order, chosen });
      if (name) this.label(context, this.nameOf(lane.speaker), index * tall + 13);
    });
    const x = ((time - this.view.from) / (this.view.to - this.view.from)) * width;
    context.fillStyle = shade("--ink");
    if (time > 0) context.fillRect(x - 0.75, 0, 1.5, height);
    drawOverview(at("overview"), lanes, this.duration, this.view, this.shown);
    this.axis(width);
  }

  label(context, text, bottom) {
    context.font = "600 12px system-ui, sans-serif";
    context.fillStyle = shade("--ink");
    context.fillText(text, 5, bottom);
  }

  axis(width) {
    const { from, to } = this.view;
    const step = STEPS.find((one) => (one / (to - from)) * width > 68) ?? 3600;
    const marks = [];
    for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
      const mark = document.createElement("span");
      mark.textContent = clock(time).replace(/\.0$/, "");
      mark.style.left = `${Math.min(width - 18, Math.max(14, ((time - from) / (to - from)) * width))}px`;
      marks.push(mark);
    }
    at("axis").replaceChildren(...marks);
  }
}
