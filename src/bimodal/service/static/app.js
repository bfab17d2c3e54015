// The page: connects its controls, the microphone and the server.
import * as api from "./api.js";
import * as answer from "./answer.js";
import { Live } from "./drawing.js";
import { loudest, openMicrophone } from "./recorder.js";
import { TEXTS } from "./texts.js";
import { Timeline, clock } from "./timeline.js";

const at = (id) => document.getElementById(id);
const WAIT = 250; // milliseconds without a key press before the words are sent

const live = new Live(at("live"));
const timeline = new Timeline((result) => chooseStretch(result));
let server = null; // answers of v1/about and v1/models
let recording = null; // the recording on the page: { file, duration }
let stretch = null; // selected segment of it, if the words belong to that segment
let asked = null; // request of the result on the page
let latest = null; // last result that is not part of a timeline
let running = new AbortController(); // the current request for a result
let following = new AbortController(); // the current long recording
let typing = 0;
let session = null; // open microphone and stream

function fillTexts() {
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = TEXTS[element.dataset.text];
  at("words").placeholder = TEXTS.wordsPlaceholder;
  at("level").setAttribute("aria-label", TEXTS.level);
  at("wave").setAttribute("aria-label", TEXTS.waveLabel);
  at("wave").setAttribute("role", "group");
  at("words-hint").textContent = TEXTS.wordsHint;
  idle();
}

// ---- errors -------------------------------------------------------------------------------------------------------

function complain(error, retry = null) {
  if (error.name === "AbortError") return;
  const line = document.createElement("p");
  line.textContent = error.message;
  const buttons = [button(TEXTS.errors.closed, () => at("alert").replaceChildren())];
  if (retry) buttons.unshift(button(TEXTS.errors.retry, retry));
  at("alert").replaceChildren(line, ...buttons);
}

function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "small";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}

/** Abort the last request; returns the signal of a new one. */
function newRequest() {
  clearTimeout(typing);
  running.abort();
  running = new AbortController();
  at("alert").replaceChildren();
  return running.signal;
}

// ---- speaking -----------------------------------------------------------------------------------------------------

function idle() {
  at("record").setAttribute("aria-pressed", "false");
  at("record-name").textContent = TEXTS.recordStart;
  at("record-state").textContent = TEXTS.recordIdle;
  at("record-hint").textContent = TEXTS.recordHint;
  at("level").hidden = true;
  document.querySelector(".input").classList.remove("listening");
}

async function startSpeaking() {
  clear();
  at("record").disabled = true;
  at("record-state").textContent = TEXTS.recordAsking;
  try {
    session = { microphone: await openMicrophone((samples) => onSamples(samples)), stream: null };
  } catch (error) {
    idle();
    complain(error);
    return;
  } finally {
    at("record").disabled = false;
  }
  live.clear();
  at("live").hidden = at("level").hidden = false;
  document.querySelector(".input").classList.add("listening");
  at("record").setAttribute("aria-pressed", "true");
  at("record-name").textContent = TEXTS.recordStop;
  at("record-state").textContent = TEXTS.recordListening;
  at("record-hint").textContent = TEXTS.recordStopHint;
  session.stream = api.openStream(session.microphone.samplingRate, onResult, streamEnded);
}

function onSamples(samples) {
  if (!session) return;
  session.stream?.send(samples);
  const peak = loudest(samples);
  at("level").value = Math.min(1, peak * 1.6);
  at("ring").style.transform = `scale(${1 + Math.min(0.45, peak)})`;
  live.add(peak, samples.length / session.microphone.samplingRate);
  const shown = `${TEXTS.recordListening} ${clock(Math.floor(live.duration)).replace(/\.0$/, "")}`;
  if (at("record-hint").dataset.shown !== shown) {
    at("record-hint").dataset.shown = shown;
    at("record-hint").textContent = `${shown} · ${TEXTS.recordStopHint}`;
  }
}

function onResult(kind, result) {
  if (kind === "ready") return;
  if (kind === "partial") live.partial = result;
  else {
    live.results.push(result);
    live.partial = null;
  }
  if (!result.abstained) answer.show(result, TEXTS.live, kind === "partial");
  live.draw();
}

async function stopSpeaking() {
  at("record").disabled = true;
  at("record-state").textContent = TEXTS.recordFinishing;
  recording = await session.microphone.close();
  session.closed = true;
  session.stream.finish();
}

/** The stream has ended: on request, or because of the server or the connection. */
async function streamEnded(reason) {
  if (!session) return;
  const ending = session;
  if (!ending.closed) recording = await ending.microphone.close();
  session = null;
  at("record").disabled = false;
  at("live").hidden = true;
  idle();
  const results = live.results;
  if (recording.duration > 0) {
    timeline.open(recording.file, recording.duration, recording.peaks);
    timeline.add(results);
    timeline.summarise(summary(results));
    showExport();
  }
  if (reason) complain(new Error(reason), () => openRecording(recording.file, at("words").value));
  else await recognizeWords(newRequest(), needsWords());
}

function summary(results) {
  const seconds = {};
  for (const result of results.filter((one) => !one.abstained)) seconds[result.emotion] = (seconds[result.emotion] ?? 0) + result.end - result.start;
  const ordered = Object.entries(seconds).sort((one, other) => other[1] - one[1]);
  const total = ordered.reduce((sum, [, length]) => sum + length, 0);
  return { abstained: !ordered.length, dominant: ordered[0]?.[0], speech_seconds: total };
}

// ---- recordings ---------------------------------------------------------------------------------------------------

async function openRecording(file, words = recording ? "" : at("words").value) {
  clear(); // words typed before the first recording belong to it
  at("words").value = words;
  following = new AbortController();
  const { signal } = following;
  busy(true);
  const waiting = [];
  let opened = false;
  recording = { file, duration: null };
  const tell = (name, data) => {
    if (name === "progress" && data.duration && !opened) {
      opened = true;
      recording.duration = data.duration;
      timeline.open(file, data.duration, []);
      if (fits(data.duration)) recognizeWords(newRequest(), needsWords());
    }
    if (name === "progress" && opened) timeline.progress(data.progress);
    if (name === "result") waiting.push(data);
    if (opened) timeline.add(waiting.splice(0));
  };
  try {
    const job = await api.follow(file, needsWords(), tell, signal);
    recording.duration = job.duration;
    timeline.open(file, job.duration, job.peaks);
    timeline.add(job.results);
    timeline.summarise(job.summary);
    showExport();
    if (!opened && fits(job.duration)) await recognizeWords(newRequest(), needsWords());
    if (!fits(job.duration)) timeline.choose(job.results[0], false);
  } catch (error) {
    complain(error);
  } finally {
    if (!signal.aborted) {
      timeline.progress(null);
      busy(false);
    }
  }
}

/** True if no words are typed and the server can recognise them. */
const needsWords = () => Boolean(server.model.transcribes && !at("words").value.trim());

const fits = (duration) => duration <= server.limits.clip_seconds && recording.file.size <= server.limits.clip_bytes;

function chooseStretch(result) {
  stretch = fits(recording.duration) ? null : result;
  asked = { audio: recording.file, start: result.start, end: result.end, transcript: result.transcript ?? "" };
  answer.show(result, TEXTS.stretch(clock(result.start), clock(result.end)));
  if (stretch) {
    at("words").value = result.transcript ?? "";
    at("words-hint").textContent = TEXTS.wordsOfStretch;
  }
}

// ---- words --------------------------------------------------------------------------------------------------------

/** Recognise the recording, or its selected segment, with the typed words. */
async function recognizeWords(signal = newRequest(), transcribe = false) {
  const transcript = at("words").value.trim();
  if (!recording && !transcript) {
    answer.showNothing();
    showExport();
    return;
  }
  const fields = { transcript };
  if (recording) {
    if (!fits(recording.duration) && !stretch) return;
    fields.audio = recording.file;
    if (stretch) Object.assign(fields, { start: stretch.start, end: stretch.end });
    if (transcribe) Object.assign(fields, { transcript: "", transcribe: true });
  }
  busy(true);
  const before = asked;
  try {
    latest = await api.recognize(fields, signal);
    if (asked !== before) return showExport(); // a segment was chosen meanwhile: it stays
    const { transcript: used, transcript_confidence } = latest;
    asked = { ...fields, transcribe: null, transcript: used ?? "", transcript_confidence };
    const name = stretch ? TEXTS.stretch(clock(stretch.start), clock(stretch.end)) : recording ? TEXTS.whole : TEXTS.wordsOnly;
    answer.show(latest, name);
    if (recording && matchMedia("(max-width: 820px)").matches && document.activeElement !== at("words")) at("answer").scrollIntoView({ block: "start" });
    if (latest.transcript_source === "asr") {
      at("words").value = latest.transcript;
      at("words-hint").textContent = TEXTS.wordsRecognised(latest.transcript_confidence);
    } else at("words-hint").textContent = TEXTS.wordsHint;
    showExport();
  } catch (error) {
    complain(error);
  } finally {
    if (!signal.aborted) busy(false);
  }
}

/** Ask for an explanation when the details are opened. */
async function explain() {
  if (!at("why").open) return;
  answer.showWhy(null);
  const about = asked;
  try {
    const { explanation } = await api.recognize({ ...about, explain: true }, running.signal);
    if (about === asked) answer.showWhy(explanation);
  } catch (error) {
    complain(error);
  }
}

function clear() {
  newRequest();
  following.abort();
  session?.stream?.drop();
  timeline.close();
  recording = stretch = latest = null;
  answer.showNothing();
  busy(false);
  at("alert").replaceChildren();
  at("words-hint").textContent = TEXTS.wordsHint;
  at("export").hidden = true;
}

function busy(on) {
  at("busy").hidden = !on;
  at("answer").setAttribute("aria-busy", String(on));
  at("transcribe").hidden = !(server?.model.transcribes && recording?.duration);
}

// ---- exports ------------------------------------------------------------------------------------------------------

/** Results to export: the segments of a recording, or the result for words only. */
function results() {
  const plain = timeline.results.map(({ row, ...result }) => result);
  return plain.length ? plain : latest ? [latest] : [];
}

function showExport() {
  const timed = timeline.results.length > 0;
  at("export").hidden = !results().length;
  const formats = Object.entries(TEXTS.formats).filter(([format]) => timed || format === "jsonl" || format === "csv");
  at("formats").replaceChildren(...formats.map(([format, name]) => button(name, () => save(format))));
}

async function save(format) {
  const name = (recording?.file.name ?? "words").replace(/\.[^.]*$/, "");
  try {
    const blob = await api.exported(format, results(), recording?.file.name ?? "words");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name}.${{ textgrid: "TextGrid", elan: "eaf", labelstudio: "labelstudio.json", emotionml: "xml" }[format] ?? format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  } catch (error) {
    complain(error);
  }
}

// ---- the rest -----------------------------------------------------------------------------------------------------

async function listSamples() {
  const samples = await (await fetch("static/samples/samples.json")).json();
  const made = samples.map((sample) =>
    button(sample.title, async () => {
      const blob = await (await fetch(`static/samples/${sample.file}`)).blob();
      await openRecording(new File([blob], sample.file, { type: "audio/mpeg" }), sample.words);
    }),
  );
  at("samples").replaceChildren(...made);
}

function dropping() {
  const zone = document.body;
  const over = (on) => at("drop").classList.toggle("over", on);
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    over(true);
  });
  zone.addEventListener("dragleave", () => over(false));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    if (event.dataTransfer.files[0]) openRecording(event.dataTransfer.files[0]);
  });
}

function themes() {
  const order = ["auto", "light", "dark"];
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("theme") ?? "auto";
    document.documentElement.dataset.theme = chosen === "auto" ? (system.matches ? "dark" : "light") : chosen;
    at("theme").textContent = TEXTS.theme[chosen];
    timeline.recolour();
  };
  at("theme").addEventListener("click", () => {
    const chosen = localStorage.getItem("theme") ?? "auto";
    localStorage.setItem("theme", order[(order.indexOf(chosen) + 1) % order.length]);
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

function askForToken() {
  at("token").value = "";
  at("token-dialog").showModal();
  return new Promise((resolve) => at("token-form").addEventListener("submit", () => resolve(at("token").value), { once: true }));
}

async function introduce() {
  server = await api.about();
  at("model-chip").hidden = false;
  at("model-chip").textContent = `${server.model.name} ${server.model.version}`;
  at("model-chip").title = server.model.licence;
  at("version").textContent = TEXTS.version(server.version);
  at("law-text").textContent = server.law;
  at("law-uses").replaceChildren(
    ...server.forbidden_uses.map((use) => {
      const item = document.createElement("li");
      item.textContent = use;
      return item;
    }),
  );
}

fillTexts();
themes();
dropping();
api.onTokenNeeded(askForToken);
at("record").addEventListener("click", () => (session ? stopSpeaking() : startSpeaking()));
at("file").addEventListener("change", () => at("file").files[0] && openRecording(at("file").files[0]));
at("words").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => recognizeWords(), WAIT);
});
at("clear").addEventListener("click", () => {
  at("words").value = "";
  at("file").value = "";
  clear();
});
at("why").addEventListener("toggle", explain);
at("transcribe").addEventListener("click", () => recognizeWords(newRequest(), true));
introduce().then(listSamples).catch((error) => complain(error));
