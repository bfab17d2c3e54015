// The microphone: samples as they arrive, and the whole recording at the end.
import { TEXTS } from "./texts.js";

/** Open the microphone; `onSamples` receives Float32Array blocks. Error messages are written for users. */
export async function openMicrophone(onSamples) {
  if (!navigator.mediaDevices) throw new Error(TEXTS.errors.insecure);
  let media;
  try {
    // The browser's noise suppression changes the voice, so it is turned off.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    media = await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new Error(error.name === "NotFoundError" ? TEXTS.errors.absent : TEXTS.errors.refused);
  }
  const context = new AudioContext();
  await context.audioWorklet.addModule("static/worklet.js");
  const node = new AudioWorkletNode(context, "samples", { numberOfOutputs: 0 });
  const pieces = [];
  let flushed;
  const end = new Promise((resolve) => (flushed = resolve));
  node.port.onmessage = ({ data }) => {
    if (data === null) return flushed();
    pieces.push(data);
    onSamples(data);
  };
  context.createMediaStreamSource(media).connect(node);
  return {
    samplingRate: context.sampleRate,
    /** Close the microphone; returns the recording as a WAV file. */
    async close() {
      node.port.postMessage("flush");
      await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 500))]);
      for (const track of media.getTracks()) track.stop();
      await context.close();
      return { file: wav(pieces, context.sampleRate), peaks: outline(pieces), duration: length(pieces) / context.sampleRate };
    },
  };
}

function length(pieces) {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

/** Largest absolute sample of a block. */
export function loudest(piece) {
  let most = 0;
  for (const sample of piece) most = Math.max(most, Math.abs(sample));
  return most;
}

function outline(pieces) {
  const parts = pieces.flatMap((piece) => [0, 1, 2, 3].map((n) => piece.subarray((n * piece.length) / 4, ((n + 1) * piece.length) / 4)));
  return parts.map(loudest);
}

/** 16-bit WAV of one channel. */
function wav(pieces, samplingRate) {
  const count = length(pieces);
  const view = new DataView(new ArrayBuffer(44 + 2 * count));
  const write = (at, text) => [...text].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, 36 + 2 * count, true);
  write(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, samplingRate, true);
  view.setUint32(28, 2 * samplingRate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  write(36, "data");
  view.setUint32(40, 2 * count, true);
  let at = 44;
  for (const piece of pieces) {
    for (const sample of piece) {
      view.setInt16(at, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true);
      at += 2;
    }
  }
  return new File([view], "spoken.wav", { type: "audio/wav" });
}
