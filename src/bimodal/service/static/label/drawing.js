// The waveform and the learning curve.
function prepared(canvas) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Peaks as bars; what was played in another colour. */
export function drawWave(canvas, peaks, played) {
  const { pen, width, height } = prepared(canvas);
  if (!width) return;
  const bars = Math.max(20, Math.floor(width / 4));
  const loudest = Math.max(...peaks, 0.02);
  const [done, rest] = [colour("--accent"), colour("--wave")];
  for (let bar = 0; bar < bars; bar += 1) {
    const from = Math.floor((bar / bars) * peaks.length);
    const to = Math.max(from + 1, Math.floor(((bar + 1) / bars) * peaks.length));
    const size = Math.max(2, (Math.max(...peaks.slice(from, to)) / loudest) * (height - 12));
    pen.fillStyle = bar / bars < played ? done : rest;
    pen.fillRect((bar / bars) * width, (height - size) / 2, width / bars - 1.2, size);
  }
}

/** UAR by number of labels, with its interval as a band. */
export function drawCurve(canvas, points) {
  if (points.length < 2 || !canvas.clientWidth) return;
  const { pen, width, height } = prepared(canvas);
  const [left, right, top, bottom] = [38, 10, 10, 26];
  const most = points.at(-1).labels || 1;
  const low = Math.max(0, Math.floor(Math.min(...points.map((one) => one.uar[1])) / 10) * 10);
  const high = Math.min(100, Math.ceil(Math.max(...points.map((one) => one.uar[2])) / 10) * 10);
  const x = (labels) => left + (labels / most) * (width - left - right);
  const y = (uar) => height - bottom - ((uar - low) / (high - low || 1)) * (height - top - bottom);
  pen.font = "12px system-ui, sans-serif";
  pen.fillStyle = colour("--soft");
  pen.strokeStyle = colour("--line");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  const step = high - low > 40 ? 20 : 10;
  for (let mark = low; mark <= high; mark += step) {
    pen.beginPath();
    pen.moveTo(left, y(mark));
    pen.lineTo(width - right, y(mark));
    pen.stroke();
    pen.fillText(`${mark} %`, left - 6, y(mark));
  }
  pen.textBaseline = "top";
  points.forEach((one, number) => {
    const last = number === points.length - 1;
    if (!last && (number % Math.ceil(points.length / 4) || x(most) - x(one.labels) < 40)) return;
    pen.textAlign = number === 0 ? "left" : last ? "right" : "center";
    pen.fillText(one.labels, x(one.labels), height - bottom + 8);
  });
  pen.beginPath();
  points.forEach((one) => pen.lineTo(x(one.labels), y(one.uar[2])));
  [...points].reverse().forEach((one) => pen.lineTo(x(one.labels), y(one.uar[1])));
  pen.closePath();
  pen.globalAlpha = 0.18;
  pen.fillStyle = colour("--accent");
  pen.fill();
  pen.globalAlpha = 1;
  pen.strokeStyle = colour("--accent");
  pen.lineWidth = 2;
  pen.beginPath();
  points.forEach((one) => pen.lineTo(x(one.labels), y(one.uar[0])));
  pen.stroke();
  pen.lineWidth = 1;
}
