// Colours of the emotions, and the band that shows them over time.

const COLOURS = {
  anger: "#d9483b", angry: "#d9483b", disgust: "#7d9b2c", fear: "#8b5fd0", fearful: "#8b5fd0", happiness: "#e5a50a",
  happy: "#e5a50a", joy: "#e5a50a", excited: "#f28c28", neutral: "#8d96a7", calm: "#3fa796", sadness: "#3b82d6", sad: "#3b82d6",
  surprise: "#e26aa5", surprised: "#e26aa5", contempt: "#a0682d", frustrated: "#b5532f", trust: "#4caf72",
  anticipation: "#f28c28", love: "#e26aa5", positive: "#4caf72", negative: "#d9483b", other: "#6b7280",
};
const OTHERS = ["#0e9aa7", "#a0682d", "#4caf72", "#c026d3", "#65758b", "#f28c28"];

export function colour(emotion) {
  if (COLOURS[emotion]) return COLOURS[emotion];
  const sum = [...emotion].reduce((total, letter) => total + letter.codePointAt(0), 0);
  return OTHERS[sum % OTHERS.length];
}

/** Match a canvas to the resolution of the screen; returns its context and its size in CSS pixels. */
export function prepare(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Draw the results between two times as stacked scores; `chosen` gets a frame. */
export function drawBand(context, results, place, chosen = null) {
  const { top, height, from, to, width } = place;
  const x = (time) => ((time - from) / (to - from)) * width;
  for (const result of results) {
    if (result.end < from || result.start > to) continue;
    const left = x(result.start);
    const wide = Math.max(1, x(result.end) - left - 1);
    if (result.abstained) hatch(context, left, top, wide, height);
    else stack(context, result, left, top, wide, height);
  }
  if (chosen) {
    context.lineWidth = 2.5;
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--ink");
    context.strokeRect(x(chosen.start) + 1, top + 1.5, Math.max(3, x(chosen.end) - x(chosen.start) - 3), height - 3);
  }
}

function stack(context, result, left, top, wide, height) {
  const ordered = Object.entries(result.scores).sort((one, other) => other[1] - one[1]);
  let y = top + height;
  context.globalAlpha = result.provisional ? 0.45 : 1;
  for (const [emotion, score] of ordered) {
    const tall = score * height;
    context.fillStyle = colour(emotion);
    context.fillRect(left, y - tall, wide, tall + 0.3);
    y -= tall;
  }
  context.globalAlpha = 1;
}

function hatch(context, left, top, wide, height) {
  context.save();
  context.beginPath();
  context.rect(left, top, wide, height);
  context.clip();
  context.strokeStyle = "#8d96a7";
  context.globalAlpha = 0.55;
  context.beginPath();
  for (let x = left - height; x < left + wide; x += 8) {
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
  }
  context.stroke();
  context.restore();
}

/** Live view of the microphone: waveform of the last seconds, emotions below it. */
export class Live {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
  }

  clear() {
    this.peaks = [];
    this.results = [];
    this.partial = null;
    this.duration = 0;
  }

  add(peak, seconds) {
    this.peaks.push([this.duration, peak]);
    this.duration += seconds;
    if (this.partial) this.partial = { ...this.partial, end: Math.max(this.partial.end, this.duration - 0.3) };
    this.draw();
  }

  draw() {
    const { context, width, height } = prepare(this.canvas);
    const seconds = Math.max(8, width / 45);
    const from = Math.max(0, this.duration - seconds);
    const style = getComputedStyle(document.documentElement);
    const middle = (height - 40) / 2;
    context.fillStyle = style.getPropertyValue("--wave-done");
    const step = width / seconds / 10;
    for (const [time, peak] of this.peaks.slice(-Math.ceil(seconds * 10) - 2)) {
      const tall = Math.max(1.5, Math.min(1, peak * 1.6) * (middle - 4));
      context.beginPath();
      context.roundRect(((time - from) / seconds) * width, middle - tall, Math.max(2, step - 2), 2 * tall, 2);
      context.fill();
    }
    const shown = this.partial ? [...this.results, { ...this.partial, provisional: true }] : this.results;
    drawBand(context, shown, { top: height - 36, height: 36, from, to: from + seconds, width });
  }
}
