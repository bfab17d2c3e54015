// @ts-check
/**
 * Client of `bimodal serve` for browsers and Node 20 or newer. One file, no build, no dependencies.
 * Editors and TypeScript (`allowJs`) read the types below.
 *
 *     import { Client } from "./bimodal.mjs";
 *     const client = new Client("http://127.0.0.1:8000");
 *     console.log((await client.recognize(file, { transcript: "Stop that!" })).emotion);
 */

/**
 * The emotion expressed in an utterance, as the model perceives it.
 * @typedef {object} Recognition
 * @property {string | null} emotion The most probable emotion; null if the model abstained.
 * @property {Record<string, number>} scores Calibrated probability of each emotion; they sum to 1.
 * @property {Record<string, number> | null} speech_scores From speech alone.
 * @property {Record<string, number> | null} text_scores From the words alone.
 * @property {number | null} gate Weight of speech against words, 0 to 1.
 * @property {number | null} start In seconds; null for words alone.
 * @property {number | null} end In seconds; null for words alone.
 * @property {string | null} speaker Who speaks.
 * @property {string | null} transcript The words that were used.
 * @property {number | null} transcript_confidence Of the speech recogniser, 0 to 1.
 * @property {boolean} abstained True if there is no emotion; `reason` says why.
 * @property {string | null} reason One sentence.
 * @property {string[]} warnings Reasons to doubt the result.
 * @property {string} model Name of the model.
 */

/**
 * @typedef {object} RecognizeOptions
 * @property {string} [transcript] The words, if they are known.
 * @property {number} [start] Start in the recording, in seconds.
 * @property {number} [end] End in the recording, in seconds.
 * @property {string} [speaker] Who speaks; the result repeats it.
 * @property {boolean} [transcribe] Recognise the words; the server needs `--asr`.
 * @property {boolean} [explain] Add which speech and which words led to the result.
 */

/**
 * @typedef {object} TimelineOptions
 * @property {"mix" | "speakers"} [channels] Mix all channels, or take each for one speaker.
 * @property {number | "auto"} [speakers] Tell so many speakers apart.
 * @property {boolean} [transcribe] Recognise the words; the server needs `--asr`.
 * @property {number} [hop] Seconds from one result to the next.
 */

/**
 * @typedef {object} StreamOptions
 * @property {(result: Recognition) => void} onResult Called with each final result.
 * @property {(result: Recognition) => void} [onPartial] Called with provisional results.
 * @property {string} [speaker] Who speaks.
 */

/** A refusal of the server, in one sentence. */
export class BimodalError extends Error {
  /**
   * @param {string} message One sentence.
   * @param {number} status HTTP status; 0 if the server was not reached or closed a stream.
   */
  constructor(message, status) {
    super(message);
    this.name = "BimodalError";
    this.status = status;
  }
}

/** A server started by `bimodal serve`. */
export class Client {
  /**
   * @param {string} url Address of the server, such as `http://127.0.0.1:8000`.
   * @param {{ token?: string }} [options] The token, if the server needs one.
   */
  constructor(url, { token = "" } = {}) {
    this.url = url.replace(/\/+$/, "");
    this.token = token;
  }

  /**
   * Recognise the emotion of one clip.
   * @param {Blob | null} audio A recording, as a file input or `new Blob([bytes])` gives it; null for words alone.
   * @param {RecognizeOptions} [options]
   * @returns {Promise<Recognition>}
   */
  async recognize(audio, options = {}) {
    return (await this.#ask("POST", "/v1/recognize", form("audio", audio, options))).json();
  }

  /**
   * Recognise a recording of any length over time; results come one by one. Leaving the loop stops the server's work.
   * @param {Blob} audio A recording.
   * @param {TimelineOptions} [options]
   * @returns {AsyncGenerator<Recognition, void, void>}
   */
  async *timeline(audio, options = {}) {
    const { id } = await (await this.#ask("POST", "/v1/jobs", form("audio", audio, options))).json();
    try {
      const answer = await this.#ask("GET", `/v1/jobs/${id}/events`);
      for await (const { event, data } of events(answer)) {
        if (event === "result") yield data;
        if (event === "failed") throw new BimodalError(data.problem?.detail ?? data.detail ?? "the job failed", 0);
        if (event === "done" || event === "cancelled") return;
      }
    } finally {
      await this.#ask("DELETE", `/v1/jobs/${id}`);
    }
  }

  /**
   * The server's model: its name, emotions and licence.
   * @returns {Promise<{ name: string, emotions: string[], licence: string, transcribes: boolean }>}
   */
  async model() {
    return (await (await this.#ask("GET", "/v1/models")).json()).models[0];
  }

  /**
   * Recognise speech while it is spoken. Needs WebSocket: browsers, Node 22 or newer.
   * @param {number} samplingRate In Hz.
   * @param {StreamOptions} options
   * @returns {Promise<{ push: (samples: Float32Array) => void, finish: () => Promise<void> }>}
   */
  async stream(samplingRate, { onResult, onPartial, speaker }) {
    const socket = new WebSocket(`${this.url.replace(/^http/, "ws")}/v1/stream`);
    const start = { type: "start", sampling_rate: samplingRate, token: this.token, speaker, partial: Boolean(onPartial) };
    /** @type {Promise<void>} */
    let ended = Promise.resolve();
    await new Promise((ready, fail) => {
      ended = new Promise((end, stop) => {
        const refuse = (/** @type {string} */ told) => [fail, stop].forEach((one) => one(new BimodalError(told, 0)));
        socket.onopen = () => socket.send(JSON.stringify(start));
        socket.onerror = () => refuse(`${this.url}: cannot be reached`);
        socket.onclose = () => refuse("the server closed the stream");
        socket.onmessage = ({ data }) => {
          const message = JSON.parse(data);
          if (message.type === "ready") ready(undefined);
          if (message.type === "final") onResult(message.result);
          if (message.type === "partial") onPartial?.(message.result);
          if (message.type === "error") refuse(message.message);
          if (message.type === "end") end();
        };
      });
      ended.catch(() => {}); // told by `finish`, or by the promise above
    });
    return {
      push: (samples) => socket.send(samples),
      finish: () => {
        socket.send(JSON.stringify({ type: "end" }));
        return ended;
      },
    };
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {FormData} [body]
   */
  async #ask(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    let answer;
    try {
      answer = await fetch(this.url + path, { method, body, headers });
    } catch {
      throw new BimodalError(`${this.url}: cannot be reached; start it with 'bimodal serve'`, 0);
    }
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => ({}));
    throw new BimodalError(problem.detail ?? `the server answered with status ${answer.status}`, answer.status);
  }
}

/**
 * A form with a recording and the fields that are given.
 * @param {string} name
 * @param {Blob | null} audio
 * @param {object} fields
 */
function form(name, audio, fields) {
  const body = new FormData();
  if (audio) body.append(name, audio, "recording");
  for (const [field, value] of Object.entries(fields)) if (value !== undefined) body.append(field, String(value));
  return body;
}

/**
 * Server-sent events of an answer.
 * @param {Response} answer
 * @returns {AsyncGenerator<{ event: string, data: any }, void, void>}
 */
async function* events(answer) {
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).replace(/\r\n/g, "\n").split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const lines = block.split("\n").map((line) => line.split(/: ?(.*)/s));
      const of = (/** @type {string} */ name) => lines.filter(([key]) => key === name).map(([, text]) => text);
      if (of("data").length) yield { event: of("event")[0] ?? "message", data: JSON.parse(of("data").join("\n")) };
    }
  }
}
