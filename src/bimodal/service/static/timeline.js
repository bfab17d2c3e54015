// Timeline of a recording: waveform, emotions, zoom, playback, table of all segments.
import { colour, drawBand, prepare } from "./drawing.js";
import { TEXTS, percent } from "./texts.js";
import WaveSurfer from "./vendor/wavesurfer.esm.js";

const at = (id) => document.getElementById(id);
const nonce = document.querySelector('meta[name="csp-nonce"]').content;

export function clock(seconds) {
  const whole = Math.max(0, seconds);
  const minutes = Math.floor(whole / 60);
  const rest = (whole % 60).toFixed(1).padStart(4, "0");
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

export class Timeline {
  /** `onChoose` is called with the result of a segment that the user selects. */
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.results = [];
    this.chosen = null;
    at("play").addEventListener("click", () => this.wave?.playPause());
    at("zoom").addEventListener("input", () => this.zoom(Number(at("zoom").value)));
    at("band").addEventListener("click", (event) => this.click(event));
    at("band").addEventListener("keydown", (event) => this.key(event));
    at("band").tabIndex = 0;
    at("band").setAttribute("role", "application");
    at("band").setAttribute("aria-label", TEXTS.bandLabel);
    new ResizeObserver(() => this.draw()).observe(at("band"));
  }

  /** Show a recording; its peaks may come later. */
  open(file, duration, peaks) {
    this.close();
    at("timeline").hidden = false;
    this.duration = duration;
    this.address = URL.createObjectURL(file);
    const style = getComputedStyle(document.documentElement);
    this.wave = WaveSurfer.create({
      container: "#wave",
      height: 96,
      waveColor: style.getPropertyValue("--wave").trim(),
      progressColor: style.getPropertyValue("--wave-done").trim(),
      cursorColor: style.getPropertyValue("--ink").trim(),
      barWidth: 2,
      barGap: 1,
      barRadius: 2,
      normalize: true,
      cspNonce: nonce,
    });
    this.wave.on("play", () => this.playing(true));
    this.wave.on("pause", () => this.playing(false));
    this.wave.on("finish", () => this.playing(false));
    this.wave.on("timeupdate", (time) => this.tick(time));
    this.wave.on("scroll", () => this.draw());
    this.wave.on("redraw", () => this.draw());
    this.wave.on("interaction", (time) => this.choose(this.results.find((result) => result.start <= time && time < result.end), false));
    this.wave.on("error", () => {
      at("play").disabled = true;
      at("play").title = TEXTS.noPlayback;
    });
    this.wave.load(this.address, [peaks.length ? peaks : [0, 0]], duration).catch(() => {});
    at("play").disabled = false;
    at("play").textContent = TEXTS.play;
    at("zoom").value = 0;
    this.tick(0);
  }

  close() {
    this.wave?.destroy();
    this.wave = null;
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = null;
    this.results = [];
    this.chosen = null;
    at("rows").replaceChildren();
    at("legend").replaceChildren();
    at("timeline-summary").textContent = "";
    at("timeline").hidden = true;
  }

  recolour() {
    const style = getComputedStyle(document.documentElement);
    this.wave?.setOptions({
      waveColor: style.getPropertyValue("--wave").trim(),
      progressColor: style.getPropertyValue("--wave-done").trim(),
      cursorColor: style.getPropertyValue("--ink").trim(),
    });
    this.draw();
  }

  progress(share) {
    at("progress").hidden = share === null;
    if (share !== null) {
      at("progress").value = share;
      at("timeline-summary").textContent = TEXTS.analysing;
    }
  }

  add(results) {
    this.results.push(...results);
    at("rows").append(...results.map((result) => this.row(result)));
    const seen = Object.keys(this.results.find((result) => !result.abstained)?.scores ?? {});
    at("legend").replaceChildren(...seen.map(legend));
    this.draw();
  }

  summarise(summary) {
    const told = summary && !summary.abstained;
    at("timeline-summary").textContent = told ? TEXTS.summary(summary.dominant, Math.round(summary.speech_seconds), this.results.some((result) => result.text_scores)) : TEXTS.summaryNone;
  }

  row(result) {
    const row = document.createElement("tr");
    const jump = document.createElement("button");
    jump.type = "button";
    jump.textContent = clock(result.start);
    jump.setAttribute("aria-label", TEXTS.choose(clock(result.start), result.emotion ?? TEXTS.noAnswer));
    jump.addEventListener("click", () => this.choose(result, true));
    const first = document.createElement("td");
    first.append(jump);
    const score = result.emotion ? percent(result.scores[result.emotion]) : TEXTS.none;
    const others = [clock(result.end), result.speaker ?? TEXTS.none, result.emotion ?? TEXTS.noAnswer, score].map((text) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      return cell;
    });
    row.append(first, ...others);
    result.row = row;
    return row;
  }

  choose(result, play) {
    this.chosen?.row?.classList.remove("chosen");
    this.chosen = result ?? null;
    if (result) {
      result.row?.classList.add("chosen");
      if (play) {
        this.wave?.setTime(result.start);
        this.wave?.play(result.start, result.end)?.catch?.(() => {});
      }
      this.onChoose(result);
    }
    this.draw();
  }

  /** Select without playback and without calling `onChoose`. */
  mark(result) {
    this.chosen = result;
    this.draw();
  }

  zoom(share) {
    const whole = at("wave").clientWidth / this.duration;
    this.wave?.zoom(share === 0 ? 0 : whole * Math.pow(Math.max(2, 200 / whole), share / 100));
    this.draw();
  }

  window() {
    const width = this.wave?.getWrapper()?.clientWidth || at("wave").clientWidth || 1;
    const from = ((this.wave?.getScroll() ?? 0) / width) * this.duration;
    return { from, to: from + (Math.min(width, at("wave").clientWidth) / width) * this.duration };
  }

  draw() {
    if (at("timeline").hidden || !this.wave) return;
    const { context, width, height } = prepare(at("band"));
    const view = this.window();
    const speakers = [...new Set(this.results.map((result) => result.speaker))];
    const tall = height / Math.max(1, speakers.length);
    speakers.forEach((speaker, index) => {
      const own = this.results.filter((result) => result.speaker === speaker);
      drawBand(context, own, { top: index * tall, height: tall - 1, width, ...view }, this.chosen?.speaker === speaker ? this.chosen : null);
    });
    this.axis(view, width);
  }

  axis({ from, to }, width) {
    const steps = [0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800];
    const step = steps.find((one) => (one / (to - from)) * width > 64) ?? 3600;
    const marks = [];
    for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
      const mark = document.createElement("span");
      mark.textContent = clock(time).replace(/\.0$/, "");
      mark.style.left = `${Math.min(width - 16, Math.max(14, ((time - from) / (to - from)) * width))}px`;
      marks.push(mark);
    }
    at("axis").replaceChildren(...marks);
  }

  click(event) {
    const view = this.window();
    const box = at("band").getBoundingClientRect();
    const time = view.from + ((event.clientX - box.left) / box.width) * (view.to - view.from);
    const speakers = [...new Set(this.results.map((result) => result.speaker))];
    const speaker = speakers[Math.floor(((event.clientY - box.top) / box.height) * speakers.length)];
    this.choose(this.results.find((result) => result.speaker === speaker && result.start <= time && time < result.end), true);
  }

  key(event) {
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" || event.key === " ") this.choose(this.chosen ?? this.results[0], true);
    else if (event.key in moves && this.results.length) {
      const now = this.chosen ? this.results.indexOf(this.chosen) : moves[event.key] > 0 ? -1 : this.results.length;
      this.choose(this.results[Math.max(0, Math.min(this.results.length - 1, now + moves[event.key]))], false);
    } else return;
    event.preventDefault();
  }

  playing(on) {
    at("play").textContent = on ? TEXTS.pause : TEXTS.play;
  }

  tick(time) {
    at("clock").textContent = `${clock(time)} / ${clock(this.duration)}`;
  }
}

function legend(emotion) {
  const item = document.createElement("li");
  const patch = document.createElement("span");
  patch.style.background = colour(emotion);
  item.append(patch, emotion);
  return item;
}
