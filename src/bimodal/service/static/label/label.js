// The labelling page: one clip at a time, the next one loaded ahead, labels sent until the server has them.
import { drawCurve, drawWave } from "./drawing.js";
import { ask, keepToken, onTokenNeeded, send } from "./requests.js";

const $ = (id) => document.getElementById(id);
const AHEAD = 3; // clips on this page: the one that is shown, and those loaded ahead
const STEPS = ["q", "w", "e", "r", "t"];
const STATUS_EVERY = 4000; // ms

const state = { session: null, rater: "", clips: [], sounds: new Map(), labelled: 0, loading: null, shown: 0, undone: null, finished: false };
const audio = new Audio();

function tell(sentence) {
  $("alert").textContent = sentence;
}

async function start() {
  keepToken();
  onTokenNeeded(async () => {
    $("token-dialog").showModal();
    await new Promise((done) => $("token-form").addEventListener("submit", done, { once: true }));
    return $("token").value;
  });
  state.session = await (await ask("v1/label/session")).json();
  $("folder").textContent = state.session.folder;
  document.title = `Label ${state.session.folder} · bimodal`;
  $("law").textContent = state.session.law;
  for (const name of state.session.raters) $("raters").append(new Option(name, name));
  buildAnswers();
  const known = sessionStorage.getItem("rater");
  if (known) await enter(known);
  else askName();
}

function askName() {
  show("start");
  $("start-hint").textContent = state.session.show_guess
    ? "The model's guess is shown. It pulls raters towards it; start without --show-guess to avoid that."
    : "The model's guess is hidden, so that it does not pull you towards it.";
  $("rater").focus();
}

function show(id) {
  for (const one of ["start", "clip", "done"]) $(one).hidden = one !== id;
  $("learning").hidden = id === "start";
  $("who").hidden = $("change").hidden = id === "start";
}

async function enter(name) {
  state.rater = name.trim();
  state.clips = [];
  state.undone = null;
  try {
    await load();
  } catch (error) {
    sessionStorage.removeItem("rater");
    askName();
    throw error;
  }
  sessionStorage.setItem("rater", state.rater);
  $("who").textContent = state.rater;
  send.resume(state.rater);
  advance();
  refresh();
}

/** Ask for clips until enough are on the page, and fetch their sound. One call at a time. */
function load() {
  state.loading ??= loadNow().finally(() => (state.loading = null));
  return state.loading;
}

async function loadNow() {
  const rater = state.rater;
  const query = new URLSearchParams({ rater, count: AHEAD });
  for (const clip of [...state.clips.map((one) => one.id), ...send.waiting()]) query.append("skip", clip);
  const found = await (await ask(`v1/label/next?${query}`)).json();
  if (rater !== state.rater) return;
  if (found.unusable.length) tell(found.unusable[0]);
  const held = new Set(state.clips.map((one) => one.id));
  state.clips.push(...found.clips.filter((one) => !held.has(one.id)));
  state.finished = found.clips.length === 0;
  await Promise.all(state.clips.map(fetchSound));
}

async function fetchSound(clip) {
  if (state.sounds.has(clip.id)) return;
  try {
    const blob = await (await ask(`v1/label/audio?clip=${encodeURIComponent(clip.id)}`)).blob();
    state.sounds.set(clip.id, URL.createObjectURL(blob));
  } catch (error) {
    state.clips = state.clips.filter((one) => one !== clip);
    tell(error.message);
  }
}

/** Show the first clip on the page; it was loaded while the one before was played. */
function advance() {
  const clip = state.clips[0];
  if (!clip) {
    show(state.finished ? "done" : "clip");
    if (!state.finished) load().then(advance, (error) => tell(error.message));
    return;
  }
  show("clip");
  audio.src = state.sounds.get(clip.id) ?? "";
  $("name").textContent = clip.name && (clip.start === null ? clip.name : `${clip.name}, from ${clip.start.toFixed(1)} s`);
  $("words").textContent = clip.words ? `“${clip.words}”` : "";
  $("words").hidden = !clip.words;
  showGuess(clip.guess);
  for (const one of $("intensity").querySelectorAll("input")) one.checked = String(clip.label?.intensity ?? "") === one.value;
  $("note").value = clip.label?.note ?? "";
  for (const one of $("answers").children) {
    one.classList.toggle("chosen", one.dataset.answer === clip.label?.answer);
    one.setAttribute("aria-pressed", String(one.dataset.answer === clip.label?.answer));
  }
  state.shown = performance.now();
  paint();
  audio.play().catch(() => {}); // a browser may want a click first
  if (state.clips.length < AHEAD && !state.finished) load().catch((error) => tell(error.message));
}

function showGuess(scores) {
  $("guess").hidden = !scores;
  if (!scores) return;
  const best = Object.entries(scores).sort((one, other) => other[1] - one[1]).slice(0, 3);
  $("guess").textContent = `The model's guess: ${best.map(([name, score]) => `${name} ${Math.round(100 * score)} %`).join(", ")}`;
}

function buildAnswers() {
  const add = (answer, text, key, colour) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.answer = answer;
    const dot = Object.assign(document.createElement("span"), { className: "dot" });
    if (colour) dot.style.background = colour;
    else button.classList.add("plain");
    const words = Object.assign(document.createElement("span"), { className: "text", textContent: text });
    button.append(...(colour ? [dot] : []), words);
    if (key) button.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    button.addEventListener("click", () => label(answer));
    $("answers").append(button);
  };
  state.session.emotions.forEach((one, number) => add(one.name, one.name, number < 9 ? String(number + 1) : "", one.colour));
  add("unsure", "can't tell", "0");
  add("other", "other emotion", "O");
  const steps = Object.assign(document.createElement("div"), { className: "steps" });
  STEPS.forEach((key, number) => {
    const choice = Object.assign(document.createElement("label"), { title: `${key.toUpperCase()}: ${number + 1} of 5` });
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "intensity", value: number + 1 });
    input.setAttribute("aria-label", `${number + 1} of 5, ${["weak", "rather weak", "medium", "rather strong", "strong"][number]}`);
    choice.append(input, Object.assign(document.createElement("span"), { className: "step", textContent: number + 1 }));
    steps.append(choice);
  });
  $("intensity").append(steps);
}

function label(answer) {
  const clip = state.clips[0];
  if (!clip || $("clip").hidden) return;
  const chosen = $("intensity").querySelector("input:checked");
  const body = { rater: state.rater, clip: clip.id, answer, note: $("note").value.trim(), at: new Date().toISOString() };
  if (chosen) body.intensity = Number(chosen.value);
  tell("");
  state.clips.shift();
  URL.revokeObjectURL(state.sounds.get(clip.id));
  state.sounds.delete(clip.id);
  state.labelled += 1;
  send.label(body);
  document.activeElement?.blur();
  advance();
  document.dispatchEvent(new CustomEvent("labelled", { detail: { answer, ms: performance.now() - state.shown } }));
}

async function undo() {
  await send.finished();
  const found = await (await ask("v1/label/undo", { method: "POST", body: JSON.stringify({ rater: state.rater }), headers: { "Content-Type": "application/json" } })).json();
  if (!found.clip) return tell("There is nothing to undo.");
  tell("");
  state.labelled -= 1;
  state.clips = [found.clip, ...state.clips.filter((one) => one.id !== found.clip.id)].slice(0, AHEAD);
  state.finished = false;
  await fetchSound(found.clip);
  advance();
  refresh();
}

function tellSaved(waiting, problem) {
  const box = $("saved");
  box.classList.toggle("ok", !waiting);
  box.textContent = waiting ? `${waiting} not stored yet${problem ? `: ${problem}` : ""}; this page keeps them and tries again` : "stored";
}

async function refresh() {
  if (!state.rater || document.hidden) return;
  const told = await (await ask(`v1/label/status?rater=${encodeURIComponent(state.rater)}`)).json();
  $("count").textContent = `${told.own} labelled by you, ${told.labelled} of ${told.clips} by anyone`;
  const learning = told.learning;
  const encoded = told.encoded < told.clips ? `Reading the clips: ${told.encoded} of ${told.clips}.` : "";
  $("advice").textContent = learning ? learning.advice : encoded || "The head is fitted after the first labels.";
  const points = learning?.points ?? [];
  $("curve").hidden = points.length < 2;
  $("curve-hint").textContent = points.length < 2 ? "" : `Mean recall (UAR) on ${learning.tests} test clips, with 95 % interval, by number of labels.`;
  drawCurve($("curve"), points);
  const rows = points.map((one) => `${one.labels} labels: ${one.uar[0]} (${one.uar[1]} to ${one.uar[2]})`);
  $("curve-table").tBodies[0].replaceChildren(...rows.map((text) => {
    const row = document.createElement("tr");
    row.append(Object.assign(document.createElement("td"), { textContent: text }));
    return row;
  }));
  const alpha = told.agreement.alpha;
  facts({
    "Test clips labelled": `${learning?.tests ?? 0} of ${told.tests}`,
    Agreement: alpha ? `alpha ${alpha[0].toFixed(2)} (${alpha[1].toFixed(2)} to ${alpha[2].toFixed(2)})` : "needs two raters",
    ...Object.fromEntries(Object.entries(told.counts)),
  });
  $("model").disabled = told.labelled < 10;
  const problems = told.problems;
  $("problems").hidden = !problems.length;
  $("problems-title").textContent = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  $("problems-list").replaceChildren(...problems.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
}

function facts(table) {
  $("facts").replaceChildren(...Object.entries(table).map(([name, value]) => {
    const row = document.createElement("div");
    row.append(Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: value }));
    return row;
  }));
}

function paint() {
  const clip = state.clips[0];
  if (!clip) return;
  drawWave($("wave"), clip.peaks, audio.duration ? audio.currentTime / audio.duration : 0);
  $("clock").textContent = `${audio.currentTime.toFixed(1)} of ${clip.seconds.toFixed(1)} s`;
}

function play() {
  if (!audio.paused) return audio.pause();
  if (audio.ended) audio.currentTime = 0;
  audio.play().catch((error) => tell(`The clip cannot be played (${error.message}).`));
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("clip").hidden && event.key !== "z") return;
  const inside = event.target;
  if (inside === $("note")) {
    if (event.key === "Enter" || event.key === "Escape") inside.blur();
    return;
  }
  if (inside.matches("input:not([type=radio])")) return;
  const key = event.key.toLowerCase();
  const emotions = state.session?.emotions ?? [];
  if (key === " " && !inside.matches("button, summary")) play();
  else if (/^[1-9]$/.test(key) && emotions[key - 1]) label(emotions[key - 1].name);
  else if (key === "0") label("unsure");
  else if (key === "o") label("other");
  else if (key === "z") run(undo);
  else if (key === "n") $("note").focus();
  else if (STEPS.includes(key)) $("intensity").querySelectorAll("input")[STEPS.indexOf(key)].checked = true;
  else return;
  event.preventDefault();
}

function run(work) {
  Promise.resolve().then(work).catch((error) => tell(error.message));
}

$("start-form").addEventListener("submit", (event) => {
  event.preventDefault();
  tell("");
  run(() => enter($("rater").value));
});
$("change").addEventListener("click", () => run(async () => {
  await send.finished();
  audio.pause();
  sessionStorage.removeItem("rater");
  state.rater = "";
  state.clips = [];
  askName();
}));
$("play").addEventListener("click", play);
$("undo").addEventListener("click", () => run(undo));
$("undo-done").addEventListener("click", () => run(undo));
$("wave").addEventListener("click", (event) => {
  audio.currentTime = (event.offsetX / $("wave").clientWidth) * (audio.duration || 0);
  audio.play().catch(() => {});
});
$("model").addEventListener("click", () => run(async () => {
  $("model").disabled = true;
  $("model-told").textContent = "Fitting and writing the model.";
  try {
    const found = await (await ask("v1/label/model", { method: "POST" })).json();
    $("model-told").textContent = `Written: ${found.command}`;
  } catch (error) {
    $("model-told").textContent = error.message;
  } finally {
    $("model").disabled = false;
  }
}));
for (const name of ["play", "pause", "ended", "loadedmetadata", "seeked"])
  audio.addEventListener(name, () => {
    $("play").setAttribute("aria-label", audio.paused ? "Play" : "Stop");
    $("play-icon").setAttribute("d", audio.paused ? "M8 5v14l11-7z" : "M7 5h4v14H7zm6 0h4v14h-4z");
    paint();
  });
(function follow() {
  if (!audio.paused) paint();
  requestAnimationFrame(follow);
})();
addEventListener("resize", () => { paint(); run(refresh); });
addEventListener("keydown", onKey);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { paint(); run(refresh); });
send.watch(tellSaved);
setInterval(() => refresh().catch(() => {}), STATUS_EVERY);
document.addEventListener("labelled", () => setTimeout(() => run(refresh), 300));
run(start);
