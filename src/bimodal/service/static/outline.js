// The waveform of a recording before the server knows it: the browser decodes files that are not too large.

const LARGEST = 24 << 20; // bytes; a larger file would take the browser's memory
const RATE = 8000; // Hz; enough for an outline
const PEAKS = 4000;

/** Peaks of a recording, or null where the browser cannot decode it. */
export async function outline(file) {
  if (file.size > LARGEST) return null;
  try {
    const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await file.arrayBuffer());
    const signal = sound.getChannelData(0);
    const size = Math.max(1, Math.floor(signal.length / PEAKS));
    const peaks = [];
    for (let start = 0; start + size <= signal.length; start += size) {
      let most = 0;
      for (let at = start; at < start + size; at += 1) most = Math.max(most, Math.abs(signal[at]));
      peaks.push(most);
    }
    return peaks;
  } catch {
    return null; // the server's outline comes with the job
  }
}
