// Runs on the audio thread: passes on the microphone's samples in blocks of a tenth of a second.
class Samples extends AudioWorkletProcessor {
  constructor() {
    super();
    this.held = new Float32Array(Math.round(sampleRate / 10));
    this.count = 0;
    this.port.onmessage = () => {
      this.hand();
      this.port.postMessage(null);
    };
  }

  process([channels]) {
    const mono = channels[0];
    for (let index = 0; mono && index < mono.length; index += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[index];
      this.held[this.count] = sum / channels.length;
      this.count += 1;
      if (this.count === this.held.length) this.hand();
    }
    return true;
  }

  hand() {
    this.port.postMessage(this.held.slice(0, this.count));
    this.count = 0;
  }
}
registerProcessor("samples", Samples);
