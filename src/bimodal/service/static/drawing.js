// Colours and patterns of the emotions, canvases, and the live view of the microphone.

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

// A pattern tells the emotions apart without colour. Each draws on a tile of 8 by 8 pixels.
const line = (context, ...points) => {
  context.beginPath();
  for (let at = 0; at < points.length; at += 4) {
    context.moveTo(points[at], points[at + 1]);
    context.lineTo(points[at + 2], points[at + 3]);
  }
  context.stroke();
};
const dot = (context, x, y, size) => {
  context.beginPath();
  context.arc(x, y, size, 0, 7);
  context.fill();
};
const MARKS = [
  (context) => line(context, -2, 2, 2, -2, -2, 10, 10, -2, 6, 10, 10, 6), // rising lines
  (context) => line(context, 0, 4, 8, 4), // lines across
  (context) => dot(context, 4, 4, 1.7), // dots
  (context) => line(context, -2, 6, 2, 10, -2, -2, 10, 10, 6, -2, 10, 2), // falling lines
  (context) => line(context, 4, 0, 4, 8), // upright lines
  (context) => line(context, 0, 0, 8, 8, 8, 0, 0, 8), // crosses
  (context) => line(context, 0, 4, 8, 4, 4, 0, 4, 8), // grid
];
const PATTERNS = {
  anger: 0, angry: 0, frustrated: 0, negative: 0, sadness: 1, sad: 1, happiness: 2, happy: 2, joy: 2, excited: 2, positive: 2,
  fear: 3, fearful: 3, disgust: 4, contempt: 4, surprise: 5, surprised: 5, love: 6, trust: 6,
};
const tiles = new Map();

/** A tile with the pattern of an emotion on its colour; neutral and calm are plain. */
function tile(emotion) {
  if (tiles.has(emotion)) return tiles.get(emotion);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 8;
  const context = canvas.getContext("2d");
  context.fillStyle = colour(emotion);
  context.fillRect(0, 0, 8, 8);
  context.strokeStyle = context.fillStyle = "rgb(255 255 255 / .5)";
  context.lineWidth = 1.4;
  MARKS[PATTERNS[emotion]]?.(context);
  tiles.set(emotion, canvas);
  return canvas;
}

/** What fills a canvas for an emotion. */
export const fill = (context, emotion) => context.createPattern(tile(emotion), "repeat");

/** The same for an element of the page. */
export function paint(element, emotion) {
  element.style.backgroundColor = colour(emotion);
  element.style.backgroundImage = `url(${tile(emotion).toDataURL()})`;
  return element;
}

/** A small patch in colour and pattern of an emotion. */
export function swatch(emotion) {
  const patch = document.createElement("span");
  patch.className = "swatch";
  return paint(patch, emotion);
}

/** Black or white, whichever is easier to read on the colour of an emotion. */
export function inkOn(emotion) {
  const [red, green, blue] = [1, 3, 5].map((at) => (parseInt(colour(emotion).slice(at, at + 2), 16) / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000" : "#fff";
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

export const shade = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

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
    const x = (time) => ((time - from) / seconds) * width;
    const middle = (height - 34) / 2;
    context.fillStyle = shade("--wave-done");
    const step = width / seconds / 10;
    for (const [time, peak] of this.peaks.slice(-Math.ceil(seconds * 10) - 2)) {
      const tall = Math.max(1, Math.min(1, Math.sqrt(peak)) * (middle - 4));
      context.fillRect(x(time), middle - tall, Math.max(2, step - 2), 2 * tall);
    }
    const shown = this.partial ? [...this.results, { ...this.partial, provisional: true }] : this.results;
    for (const result of shown) {
      if (result.abstained || result.end < from) continue;
      const [left, wide] = [x(result.start), Math.max(2, x(result.end) - x(result.start) - 1)];
      context.globalAlpha = result.provisional ? 0.5 : 1;
      context.fillStyle = fill(context, result.emotion);
      context.fillRect(left, height - 28, wide, 28);
    }
    context.globalAlpha = 1;
  }
}
