// The page: connects its controls, the microphone and the server.
import * as api from "./api.js";
import * as answer from "./answer.js";
import { Live } from "./drawing.js";
import { forgetNames, nameOf, offerNames } from "./names.js";
import { loudest, openMicrophone } from "./recorder.js";
import { Segments } from "./segments.js";
import { LANGUAGE, TEXTS } from "./texts.js";
import { Timeline, clock, length } from "./timeline.js";
import { showWhole } from "./whole.js";

const at = (id) => document.getElementById(id);
const WAIT = 250; // milliseconds without a key press before the words are sent
const WHOLE_SECONDS = 30; // a longer recording is shown as a whole first, as on the command line

const live = new Live(at("live"));
const segments = new Segments((result) => timeline.choose(result, true), nameOf);
const timeline = new Timeline({ onChoose: (result) => chooseStretch(result), onPlay: (heard) => segments.follow(heard), nameOf });
let server = null; // answers of v1/about and v1/models
let recording = null; // the recording on the page: { file, duration }
let stretch = null; // selected segment of it, if the words belong to that segment
let asked = null; // request of the result on the page
let latest = null; // last result that is not part of a timeline
let whole = null; // summary of a long recording
let share = null; // of the long recording that is analysed; null when it is done
let running = new AbortController(); // the current request for a result
let following = new AbortController(); // the current long recording
let typing = 0;
let session = null; // open microphone and stream

function fillTexts() {
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = TEXTS[element.dataset.text];
  at("words").placeholder = TEXTS.wordsPlaceholder;
  const labels = {
    level: TEXTS.level, wave: TEXTS.timelineTitle, overview: TEXTS.minimapLabel, band: TEXTS.bandLabel, legend: TEXTS.legend, search: TEXTS.search,
    "zoom-in": TEXTS.zoomIn, "zoom-out": TEXTS.zoomOut, "zoom-all": TEXTS.zoomAll, progress: TEXTS.timelineTitle,
  };
  for (const [id, label] of Object.entries(labels)) at(id).setAttribute("aria-label", label);
  for (const id of ["zoom-in", "zoom-out", "zoom-all"]) at(id).title = labels[id];
  at("search").placeholder = TEXTS.search;
  at("band").tabIndex = 0;
  at("band").setAttribute("role", "application");
  at("words-hint").textContent = TEXTS.wordsHint;
  at("language").textContent = TEXTS.language;
  at("language").title = TEXTS.languageHint;
  at("language").lang = LANGUAGE === "de" ? "en" : "de";
  at("language").href = `?lang=${at("language").lang}`;
  at("law-uses").replaceChildren(
    ...TEXTS.lawUses.map((use) => {
      const item = document.createElement("li");
      item.textContent = use;
      return item;
    }),
  );
  idle();
}

// ---- errors -------------------------------------------------------------------------------------------------------

function complain(error, retry = null) {
  if (error.name === "AbortError") return;
  const line = document.createElement("p");
  line.textContent = error.message;
  if (error.file) line.textContent = `${TEXTS.errors.file(error.file, error.message)} ${error.isInput ? TEXTS.errors.fileAdvice : ""}`;
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
  at("record-time").textContent = "";
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
  session.stream = api.openStream(session.microphone.samplingRate, onResult, streamEnded);
}

function onSamples(samples) {
  if (!session) return;
  session.stream?.send(samples);
  const peak = loudest(samples);
  at("level").value = Math.min(1, Math.sqrt(peak)); // speech fills the meter, though its samples are small
  at("ring").style.transform = `scale(${1 + Math.min(0.45, peak)})`;
  live.add(peak, samples.length / session.microphone.samplingRate);
  at("record-time").textContent = length(Math.floor(live.duration));
}

function onResult(kind, result) {
  if (kind === "ready") return;
  if (kind === "partial") live.partial = result;
  else {
    live.results.push(result);
    live.partial = null;
  }
  if (!result.abstained) answer.show(result, TEXTS.live, { provisional: kind === "partial" });
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
    timeline.open(recording.file, recording.duration);
    timeline.outline(recording.peaks);
    timeline.add(results);
    segments.add(results);
    timeline.ended();
    showExport();
  }
  if (reason) return complain(new Error(reason), () => openRecording(recording.file, at("words").value));
  if (recording.duration > WHOLE_SECONDS && results.length) await tellWhole(results).catch((error) => complain(error));
  else await recognizeWords(newRequest(), needsWords());
}

/** The summary of spoken results; that of a job comes with the job. */
async function tellWhole(results) {
  whole = await api.summarised(results);
  timeline.add([], whole.phases);
  showSummary();
}

// ---- recordings ---------------------------------------------------------------------------------------------------

async function openRecording(file, words = recording ? "" : at("words").value) {
  clear(); // words typed before the first recording belong to it
  at("words").value = words;
  following = new AbortController();
  const { signal } = following;
  busy(true);
  recording = { file, duration: null };
  share = 0;
  const tell = (name, data) => {
    if (name === "progress") onProgress(data);
    if (name === "result") take([data]);
  };
  try {
    const job = await api.follow(file, { transcribe: needsWords(), stereo: at("stereo").checked }, tell, signal);
    onProgress(job);
    take(job.results.slice(timeline.results.length));
    share = null;
    whole = job.summary;
    timeline.add([], whole.phases);
    timeline.ended();
    showExport();
    if (!isShort()) showSummary();
  } catch (error) {
    complain(Object.assign(error, { file: file.name }));
    if (!timeline.results.length && error.name !== "AbortError") timeline.close();
  } finally {
    if (!signal.aborted) {
      timeline.progress(null);
      busy(false);
    }
  }
}

function onProgress({ duration, progress, peaks, summary }) {
  if (duration && recording.duration === null) {
    recording.duration = duration;
    timeline.open(recording.file, duration);
    take(early.splice(0));
    if (isShort()) recognizeWords(newRequest(), needsWords());
    else {
      at("words").disabled = true;
      at("words-hint").textContent = TEXTS.wordsOfLong;
      showSummary();
    }
  }
  if (recording.duration === null) return;
  if (peaks?.length) timeline.outline(peaks);
  share = progress;
  timeline.progress(progress);
  if (summary) {
    whole = summary;
    timeline.add([], summary.phases);
    if (!isShort() && !stretch) showSummary();
  }
}

const early = []; // results that came before the duration, without which there is no timeline

function take(results) {
  if (recording.duration === null) return void early.push(...results);
  timeline.add(results);
  segments.add(results);
  offerNames(new Set(results.map((result) => result.speaker)), rename);
}

/** Names have changed: write them wherever they stand. */
function rename() {
  segments.search();
  timeline.draw();
  if (whole && !stretch && !at("whole").hidden) showSummary();
}

const NOTHING = { speech_seconds: 0, shares: {}, speakers: [], phases: [], highlights: [], abstained: true };

/** The recording as a whole, or what is known of it so far. */
function showSummary() {
  stretch = null;
  timeline.mark(null);
  segments.choose(null);
  const last = timeline.results.at(-1);
  showWhole(whole ?? NOTHING, {
    duration: recording.duration,
    nameOf,
    progress: share,
    voiceOnly: !timeline.results.some((result) => result.text_scores),
    messages: share === null ? (last?.messages ?? []).filter(({ code }) => /^(cut|damaged|voices|speakers)/.test(code)) : [],
    open: (part, play) => {
      const result = timeline.results.find((one) => one.start >= part.start - 0.01 && one.speaker === part.speaker && !one.abstained);
      if (play && result) timeline.choose(result, true);
      else timeline.show(part.start - 0.05 * (part.end - part.start), part.end + 0.05 * (part.end - part.start));
    },
  });
  if (share === null) {
    at("words").value = "";
    at("words").disabled = true;
    at("words-hint").textContent = TEXTS.wordsOfLong;
  }
}

/** True if no words are typed and the server can recognise them. */
const needsWords = () => Boolean(server.model.transcribes && !at("words").value.trim());

/** True if the recording gets one result as a whole. */
const isShort = () => recording.duration <= Math.min(WHOLE_SECONDS, server.limits.clip_seconds) && recording.file.size <= server.limits.clip_bytes;

function chooseStretch(result) {
  const part = !isShort();
  stretch = part ? result : null;
  segments.choose(result);
  asked = { audio: recording.file, start: result.start, end: result.end, transcript: result.transcript ?? "" };
  answer.show(result, TEXTS.stretch(clock(result.start), clock(result.end)), { part });
  if (part) {
    at("words").value = result.transcript ?? "";
    at("words").disabled = recording.file.size > server.limits.clip_bytes;
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
    if (recording.duration === null || (!isShort() && !stretch)) return;
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
    answer.show(latest, name, { part: Boolean(stretch) });
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
    const result = await api.recognize({ ...about, explain: true }, running.signal);
    if (about === asked) answer.showWhy(result);
  } catch (error) {
    complain(error);
  }
}

function clear() {
  newRequest();
  following.abort();
  session?.stream?.drop();
  timeline.close();
  segments.clear();
  early.length = 0;
  forgetNames();
  recording = stretch = latest = whole = share = null;
  at("words").disabled = false;
  answer.showNothing();
  busy(false);
  at("alert").replaceChildren();
  at("words-hint").textContent = TEXTS.wordsHint;
  at("export").hidden = true;
}

function busy(on) {
  at("busy").hidden = !on;
  at("answer").setAttribute("aria-busy", String(on));
  at("transcribe").hidden = !(server?.model.transcribes && recording?.duration && (isShort() || stretch));
}

// ---- exports ------------------------------------------------------------------------------------------------------

/** Results to export: the segments of a recording, or the result for words only. */
function results() {
  const named = timeline.results.map((result) => (result.speaker ? { ...result, speaker: nameOf(result.speaker) } : result));
  return named.length ? named : latest ? [latest] : [];
}

function showExport() {
  const timed = timeline.results.length > 0;
  at("export").hidden = !results().length;
  const formats = Object.entries(TEXTS.formats).filter(([format]) => timed || ["jsonl", "json", "csv"].includes(format));
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
    button(TEXTS.sampleTitles[sample.file] ?? sample.title, async () => {
      const blob = await (await fetch(`static/samples/${sample.file}`)).blob();
      at("stereo").checked = sample.stereo;
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
    timeline.draw();
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
at("stereo").addEventListener("change", () => recording?.file && openRecording(recording.file, ""));
at("back").addEventListener("click", showSummary);
timeline.onFilter = () => segments.filter(timeline.shown);
segments.onShowAll = () => {
  at("search").value = "";
  for (const press of at("legend").children) press.setAttribute("aria-pressed", "false");
  timeline.filter(null);
};
at("why").addEventListener("toggle", explain);
at("transcribe").addEventListener("click", () => recognizeWords(newRequest(), true));
introduce().then(listSamples).catch((error) => complain(error));
