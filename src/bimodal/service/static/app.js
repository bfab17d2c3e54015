// The page: speaks with the person, the microphone and the server, and shows what they say.
import * as api from "./api.js";
import * as answer from "./answer.js";
import { Live } from "./drawing.js";
import { loudest, openMicrophone } from "./recorder.js";
import { TEXTS } from "./texts.js";
import { Timeline, clock } from "./timeline.js";

const at = (id) => document.getElementById(id);
const WAIT = 250; // milliseconds without a key before words are judged

const live = new Live(at("live"));
const timeline = new Timeline((result) => chooseStretch(result));
let server = null; // what it says of itself
let recording = null; // { file, duration } that is shown
let stretch = null; // of it, whose words are typed
let asked = null; // what the shown answer was asked with
let judged = null; // last answer that stands by itself
let running = new AbortController(); // the answer that is asked for now
let following = new AbortController(); // the recording that is followed now
let typing = 0;
let session = null; // a microphone and a stream that are open

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

/** The signal of a new question; the answer to the one before is not waited for any more. */
function anew() {
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
    session = { microphone: await openMicrophone((samples) => hear(samples)), stream: null };
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
  session.stream = api.openStream(session.microphone.samplingRate, hearAnswer, streamEnded);
}

function hear(samples) {
  if (!session) return;
  session.stream?.send(samples);
  const peak = loudest(samples);
  at("level").value = Math.min(1, peak * 1.6);
  at("ring").style.transform = `scale(${1 + Math.min(0.45, peak)})`;
  live.hear(peak, samples.length / session.microphone.samplingRate);
  const shown = `${TEXTS.recordListening} ${clock(Math.floor(live.duration)).replace(/\.0$/, "")}`;
  if (at("record-hint").dataset.shown !== shown) {
    at("record-hint").dataset.shown = shown;
    at("record-hint").textContent = `${shown} · ${TEXTS.recordStopHint}`;
  }
}

function hearAnswer(kind, result) {
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

/** The stream is over: as asked, or because the server or the connection ended it. */
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
  else await judgeWords(anew(), wantsWords());
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
  clear(); // words that were typed before any recording came belong to this one
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
      if (fits(data.duration)) judgeWords(anew(), wantsWords());
    }
    if (name === "progress" && opened) timeline.progress(data.progress);
    if (name === "result") waiting.push(data);
    if (opened) timeline.add(waiting.splice(0));
  };
  try {
    const job = await api.follow(file, wantsWords(), tell, signal);
    recording.duration = job.duration;
    timeline.open(file, job.duration, job.peaks);
    timeline.add(job.results);
    timeline.summarise(job.summary);
    showExport();
    if (!opened && fits(job.duration)) await judgeWords(anew(), wantsWords());
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

/** True where nobody typed words and the server can hear them. */
const wantsWords = () => Boolean(server.model.transcribes && !at("words").value.trim());

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

/** Judge what is there: the recording, or the chosen stretch of it, with the words that are typed. */
async function judgeWords(signal = anew(), transcribe = false) {
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
  try {
    judged = await api.recognize(fields, signal);
    const { transcript: used, transcript_confidence } = judged;
    asked = { ...fields, transcribe: null, transcript: used ?? "", transcript_confidence };
    const name = stretch ? TEXTS.stretch(clock(stretch.start), clock(stretch.end)) : recording ? TEXTS.whole : TEXTS.wordsOnly;
    answer.show(judged, name);
    if (recording && matchMedia("(max-width: 820px)").matches && document.activeElement !== at("words")) at("answer").scrollIntoView({ block: "start" });
    if (judged.transcript_source === "asr") {
      at("words").value = judged.transcript;
      at("words-hint").textContent = TEXTS.wordsHeard(judged.transcript_confidence);
    } else at("words-hint").textContent = TEXTS.wordsHint;
    showExport();
  } catch (error) {
    complain(error);
  } finally {
    if (!signal.aborted) busy(false);
  }
}

/** Ask again why, when somebody wants to know. */
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
  anew();
  following.abort();
  session?.stream?.drop();
  timeline.close();
  recording = stretch = judged = null;
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

/** What can be taken along: the stretches of a recording, or the answer to words alone. */
function results() {
  const plain = timeline.results.map(({ row, ...result }) => result);
  return plain.length ? plain : judged ? [judged] : [];
}

function showExport() {
  const timed = timeline.results.length > 0;
  at("export").hidden = !results().length;
  const wanted = Object.entries(TEXTS.formats).filter(([format]) => timed || format === "jsonl" || format === "csv");
  at("formats").replaceChildren(...wanted.map(([format, name]) => button(name, () => save(format))));
}

async function save(format) {
  const name = (recording?.file.name ?? "words").replace(/\.[^.]*$/, "");
  try {
    const blob = await api.exported(format, results(), recording?.file.name ?? "words");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name}.${{ textgrid: "TextGrid", emotionml: "xml" }[format] ?? format}`;
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
  typing = setTimeout(() => judgeWords(), WAIT);
});
at("clear").addEventListener("click", () => {
  at("words").value = "";
  at("file").value = "";
  clear();
});
at("why").addEventListener("toggle", explain);
at("transcribe").addEventListener("click", () => judgeWords(anew(), true));
introduce().then(listSamples).catch((error) => complain(error));
