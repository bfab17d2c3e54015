// What the timeline draws: waveform, emotions of each speaker over time, phases with their names, the overview.
import { colour, fill, inkOn, prepare, shade } from "./drawing.js";
import { named } from "./texts.js";

const PHASES = 20; // pixels of the line with the names
const BIN = 4; // pixels that are drawn as one column where results are narrow
const NARROW = 9; // pixels below which single results are no longer drawn on their own

const scale = ({ from, to }, width) => (time) => ((time - from) / (to - from)) * width;

/** The waveform between two times; peaks cover the whole recording. What was played is darker. */
export function drawWave(canvas, peaks, duration, view, played) {
  const { context, width, height } = prepare(canvas);
  const middle = height / 2;
  const x = scale(view, width);
  const most = Math.max(0.05, peaks.reduce((most, peak) => Math.max(most, Math.abs(peak)), 0)); // silence stays a line
  const [done, rest] = [shade("--wave-done"), shade("--wave")];
  for (let left = 0; left < width; left += 3) {
    const time = view.from + (left / width) * (view.to - view.from);
    const [first, last] = [time, time + (3 / width) * (view.to - view.from)].map((each) => (each / duration) * peaks.length);
    let peak = 0;
    for (let at = Math.floor(first); at <= Math.max(Math.floor(first), Math.ceil(last) - 1); at += 1) peak = Math.max(peak, Math.abs(peaks[at] ?? 0));
    const tall = Math.max(0.75, (peak / most) * (middle - 3));
    context.fillStyle = left < x(played) ? done : rest;
    context.fillRect(left, middle - tall, 2, 2 * tall);
  }
}

/** The emotions of one speaker between two times, in a part of a canvas from `top`, `height` pixels high. */
export function drawLane(context, lane, place) {
  const { top, height, width, view, shown, chosen } = place;
  const x = scale(view, width);
  const visible = lane.results.filter((result) => result.end >= view.from && result.start <= view.to && !result.abstained);
  const usual = visible.length ? (x(visible.at(-1).end) - x(visible[0].start)) / visible.length : 0;
  const below = { top: top + PHASES + 2, height: height - PHASES - 2, shown, order: place.order };
  if (usual >= NARROW) for (const result of visible) column(context, result.scores, x(result.start), Math.max(2, x(result.end) - x(result.start) - 1), below, result.emotion);
  else smoothed(context, visible, width, view, below);
  phases(context, lane.phases, { top, x, width, shown });
  if (chosen) {
    context.lineWidth = 2.5;
    context.strokeStyle = shade("--ink");
    context.strokeRect(x(chosen.start), below.top + 1.5, Math.max(4, x(chosen.end) - x(chosen.start) - 1), below.height - 3);
  }
}

/** Scores stacked in one order, so that neighbours form bands. An emotion that the filter hides is pale. */
function column(context, scores, left, wide, { top, height, shown, order }, winner) {
  let y = top + height;
  for (const emotion of order) {
    const tall = (scores[emotion] ?? 0) * height;
    context.globalAlpha = shown && !shown.has(emotion) ? 0.15 : 1;
    context.fillStyle = fill(context, emotion);
    context.fillRect(left, y - tall, wide, tall + 0.3);
    y -= tall;
  }
  context.globalAlpha = 1;
  if (winner && wide > 70) write(context, named(winner), left + 5, top + height - 7, wide - 8);
}

/** Means of the scores over a few pixels each, weighted by the speech in them and in their neighbours. */
function smoothed(context, results, width, view, place) {
  const bins = Array.from({ length: Math.ceil(width / BIN) }, () => null);
  const x = scale(view, width);
  for (const result of results) {
    const first = Math.max(0, Math.floor(x(result.start) / BIN));
    const last = Math.min(bins.length - 1, Math.floor(x(result.end) / BIN));
    for (let at = first; at <= last; at += 1) {
      const weight = Math.max(1e-6, Math.min(x(result.end), (at + 1) * BIN) - Math.max(x(result.start), at * BIN));
      bins[at] ??= { weight: 0, sums: {} };
      bins[at].weight += weight;
      for (const [emotion, score] of Object.entries(result.scores)) bins[at].sums[emotion] = (bins[at].sums[emotion] ?? 0) + weight * score;
    }
  }
  bins.forEach((bin, at) => {
    if (!bin) return;
    const near = [bins[at - 2], bins[at - 1], bin, bin, bins[at + 1], bins[at + 2]].filter(Boolean);
    const weight = near.reduce((sum, one) => sum + one.weight, 0);
    const means = Object.fromEntries(place.order.map((emotion) => [emotion, near.reduce((sum, one) => sum + (one.sums[emotion] ?? 0), 0) / weight]));
    column(context, means, at * BIN, BIN, place, null);
  });
}

function phases(context, listed, { top, x, width, shown }) {
  for (const phase of listed) {
    const left = Math.max(0, x(phase.start));
    const wide = Math.min(width, x(phase.end)) - left;
    if (wide <= 0) continue;
    context.globalAlpha = shown && !shown.has(phase.emotion) ? 0.25 : 1;
    context.fillStyle = colour(phase.emotion);
    context.beginPath();
    context.roundRect(left, top + 1, Math.max(2, wide - 1), PHASES - 2, 4);
    context.fill();
    if (wide > 34) {
      context.fillStyle = inkOn(phase.emotion);
      context.font = "600 11px system-ui, sans-serif";
      context.fillText(cut(context, named(phase.emotion), wide - 10), left + 5, top + 14);
    }
    context.globalAlpha = 1;
  }
}

function write(context, text, left, bottom, room) {
  context.font = "600 11px system-ui, sans-serif";
  const shownText = cut(context, text, room);
  context.fillStyle = "rgb(255 255 255 / .85)";
  context.beginPath();
  context.roundRect(left - 3, bottom - 11, context.measureText(shownText).width + 6, 15, 3);
  context.fill();
  context.fillStyle = "#14161d";
  context.fillText(shownText, left, bottom);
}

/** The text as far as it fits. */
function cut(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > room) end -= 1;
  return end > 1 ? `${text.slice(0, end)}…` : "";
}

/** The whole recording on a narrow strip, and a frame around what is visible. */
export function drawOverview(canvas, lanes, duration, view, shown) {
  const { context, width, height } = prepare(canvas);
  const x = scale({ from: 0, to: duration }, width);
  const tall = height / Math.max(1, lanes.length);
  lanes.forEach((lane, index) => {
    for (const result of lane.results) {
      if (result.abstained) continue;
      context.globalAlpha = (shown && !shown.has(result.emotion) ? 0.1 : 1) * (result.emotion === "neutral" ? 0.45 : 1);
      context.fillStyle = colour(result.emotion);
      context.fillRect(x(result.start), index * tall + 1, Math.max(1, x(result.end) - x(result.start)), tall - 2);
    }
  });
  context.globalAlpha = 1;
  context.fillStyle = shade("--shade");
  context.fillRect(0, 0, x(view.from), height);
  context.fillRect(x(view.to), 0, width - x(view.to), height);
  context.strokeStyle = shade("--ink");
  context.lineWidth = 2;
  context.strokeRect(x(view.from) + 1, 1, Math.max(4, x(view.to) - x(view.from) - 2), height - 2);
}
