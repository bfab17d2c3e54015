// All requests of the page to the server.
import { TEXTS, sentence, told } from "./texts.js";

const COVERAGE = 0.9; // of the prediction sets that the page shows
let token = takeToken();
let sets = {}; // the fields that ask for prediction sets, where the model has them
let askForToken = async () => "";

/** The token follows the # of the printed address. Browsers do not send that part. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token") ?? "";
}

export function onTokenNeeded(ask) {
  askForToken = ask;
}

export function currentToken() {
  return token;
}

/** Fetch with the token. A problem is thrown as an error with a one-sentence message. */
export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(TEXTS.errors.unreachable);
  }
  if (answer.status === 401) {
    token = await askForToken();
    sessionStorage.setItem("token", token);
    return ask(path, options);
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => null);
    throw refusal(problem ?? { status: answer.status }, answer.headers.get("Retry-After"));
  }
  return answer;
}

/** A problem of the server as an error in the language of the page; `isInput` if other input may help. */
function refusal(problem, wait = null) {
  const kind = problem.type?.split(":").pop();
  const known = TEXTS.messages[problem.code] !== undefined;
  const text = TEXTS.problems[kind];
  let words;
  if (known) words = told({ code: problem.code, values: problem.values });
  else if (kind === "unusable" && problem.detail) words = sentence(problem.detail);
  else if (text) words = typeof text === "function" ? text({ ...problem.values, seconds: wait ?? 1 }) : text;
  else words = problem.detail ?? TEXTS.errors.status(problem.status);
  return Object.assign(new Error(words), { isInput: kind === "unusable" || kind === "too-large" });
}

function form(fields) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) data.append(name, value, value.name ?? "recording.wav");
    else if (value !== null && value !== undefined && value !== "") data.append(name, String(value));
  }
  return data;
}

export async function about() {
  const [server, models] = await Promise.all([ask("v1/about"), ask("v1/models")]);
  const model = (await models.json()).models[0];
  sets = model.prediction_sets ? { coverage: COVERAGE } : {};
  return { ...(await server.json()), model };
}

/** One utterance: a recording, words, or both. */
export async function recognize(fields, signal) {
  return (await ask("v1/recognize", { method: "POST", body: form({ ...fields, ...sets }), signal })).json();
}

/** Recognise a long recording; `tell` is called with each event. Returns the finished job. */
export async function follow(audio, { transcribe, stereo }, tell, signal) {
  const fields = { audio, transcribe, channels: stereo ? "speakers" : null, ...sets };
  const started = await ask("v1/jobs", { method: "POST", body: form(fields), signal });
  const place = `v1/jobs/${(await started.json()).id}`; // relative: a proxy may offer the page below another path
  try {
    for await (const event of events(await ask(`${place}/events`, { signal }))) {
      if (event.name === "failed") throw refusal(event.data.problem);
      tell(event.name, event.data);
    }
    return (await ask(place, { signal })).json();
  } finally {
    if (signal.aborted) ask(place, { method: "DELETE" }).catch(() => {});
  }
}

/** Server-sent events of a response. EventSource cannot send the token, so it is not used. */
async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    held += part.value.replaceAll("\r\n", "\n");
    const whole = held.split("\n\n");
    held = whole.pop();
    for (const block of whole) {
      const fields = Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
      if (fields.event) yield { name: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

export async function exported(format, results, recording) {
  const body = JSON.stringify({ format, results, recording });
  return (await ask("v1/export", { method: "POST", body, headers: { "Content-Type": "application/json" } })).blob();
}

/** The summary of results that belong to one recording. */
export async function summarised(results) {
  const body = JSON.stringify({ results });
  return (await ask("v1/summary", { method: "POST", body, headers: { "Content-Type": "application/json" } })).json();
}

/** A socket for live speech. Messages go to `tell`; the end goes to `ended`, with null or a reason. */
export function openStream(samplingRate, tell, ended) {
  const socket = new WebSocket(new URL("v1/stream", location.href.replace(/^http/, "ws")));
  let over = false;
  const end = (reason) => {
    if (!over) ended(reason);
    over = true;
  };
  socket.binaryType = "arraybuffer";
  socket.onopen = () => socket.send(JSON.stringify({ type: "start", sampling_rate: samplingRate, token: currentToken(), ...sets }));
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "error") end(TEXTS.errors.stream(TEXTS.streamErrors[message.error] ?? message.message));
    else if (message.type === "end") end(null);
    else tell(message.type, message.result);
  };
  socket.onclose = () => end(TEXTS.errors.lost);
  return {
    send: (samples) => socket.readyState === WebSocket.OPEN && socket.send(samples),
    finish: () => (socket.readyState === WebSocket.OPEN ? socket.send('{"type":"end"}') : end(TEXTS.errors.lost)),
    drop: () => {
      over = true;
      socket.close();
    },
  };
}
