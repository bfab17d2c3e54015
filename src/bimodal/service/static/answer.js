// The result: the emotion, the scores of voice and words, and their weights.
import { paint, prepare, swatch } from "./drawing.js";
import { TEXTS, named, percent, sentence as asSentence, signed, told } from "./texts.js";

const at = (id) => document.getElementById(id);
const CLOSE = 0.08; // two emotions whose scores differ by less are almost equally likely

export function showNothing() {
  at("filled").hidden = at("whole").hidden = at("back").hidden = true;
  at("empty").hidden = false;
  at("answer-of").hidden = true;
}

/** Show a result; `of` names what it is a result of, `part` whether of a part of a recording. */
export function show(result, of, { provisional = false, part = false } = {}) {
  at("empty").hidden = at("whole").hidden = true;
  at("back").hidden = !part;
  at("filled").hidden = false;
  at("answer-of").hidden = false;
  at("answer-of").textContent = of;
  headline(result, provisional);
  explain(result, part || provisional);
  gate(result.gate);
  scores(result);
  among(result);
  at("dimensions").hidden = result.arousal === null;
  at("dimensions").textContent = TEXTS.dimensions(signed(result.arousal), signed(result.valence));
  at("why").hidden = provisional || result.abstained;
  at("why").open = false;
  const source = result.transcript_source === "asr" ? `${TEXTS.confidenceWeighs(result.transcript_confidence)} ` : "";
  at("answer-foot").textContent = source + TEXTS.modelLine(result.model, result.revision);
}

function headline(result, provisional) {
  const line = at("headline");
  line.classList.toggle("provisional", provisional);
  line.setAttribute("aria-live", provisional ? "off" : "polite");
  if (result.abstained) {
    line.replaceChildren(TEXTS.noAnswer);
    return;
  }
  const share = document.createElement("small");
  share.textContent = percent(result.scores[result.emotion]);
  line.replaceChildren(swatch(result.emotion), `${named(result.emotion)} `, share);
}

const best = (scores) => Object.entries(scores).sort((one, other) => other[1] - one[1]);

/** A sentence of a result in the language of the page. */
const say = (result, text) => told(result.messages?.find((message) => message.text === text) ?? { text });

/**
 * One sentence: agreement, what voice and words alone would give, two likely emotions, a missing modality, or the reason
 * for no result. The result follows one side only where the weight of that side is the larger one.
 */
export function sentence(result, part = false) {
  if (result.abstained) return { text: say(result, result.reason), conflict: false };
  const [[first, most], [second, next]] = best(result.scores);
  if (result.speech_scores && result.text_scores) {
    const [voice, voiceScore] = best(result.speech_scores)[0];
    const [words, wordsScore] = best(result.text_scores)[0];
    if (voice === words && first === voice) return { text: TEXTS.agree(named(voice)), conflict: false };
    const byVoice = first === voice && (result.gate ?? 1) >= 0.5;
    const byWords = first === words && (result.gate ?? 0) < 0.5;
    const follows = byVoice ? TEXTS.followsVoice : byWords ? TEXTS.followsWords : TEXTS.followsNeither(named(first));
    return { text: TEXTS.alone(named(voice), voiceScore, named(words), wordsScore) + follows, conflict: true };
  }
  const alone = result.speech_scores ? (part ? TEXTS.onlyVoiceStretch : TEXTS.onlyVoice) : TEXTS.onlyWords;
  return { text: most - next < CLOSE ? `${asSentence(TEXTS.unsure(named(first), named(second)))} ${alone}` : alone, conflict: false };
}

function explain(result, part) {
  const found = sentence(result, part);
  at("explain").textContent = found.text;
  const lines = result.warnings.map((warning) => listItem(say(result, warning)));
  at("warnings").replaceChildren(...lines);
  at("explain").classList.toggle("conflict", found.conflict);
}

/** The emotions among which the right one is with a given coverage. */
function among(result) {
  const found = result.prediction_set;
  at("among").hidden = !found;
  if (!found) return;
  at("among").textContent = TEXTS.among(found.coverage, found.emotions.map(named));
  at("among").title = [TEXTS.amongHint, found.note && say(result, found.note)].filter(Boolean).join(" ");
}

function gate(share) {
  at("gate").hidden = share === null;
  if (share === null) return;
  at("gate-voice").style.width = `${100 * share}%`;
  at("gate-words").style.width = `${100 - 100 * share}%`;
  at("gate-voice-text").textContent = TEXTS.gateVoice(share);
  at("gate-words-text").textContent = TEXTS.gateWords(1 - share);
}

/** The scores of what was given, and of both together; an emotion that nothing given can tell of has no row. */
function scores(result) {
  at("scores-table").hidden = result.abstained; // nothing was recognised, so there is nothing to compare
  const given = [["voice", result.speech_scores], ["wordsColumn", result.text_scores]].filter(([, scores]) => scores);
  const columns = given.length > 1 ? [...given, ["together", result.scores]] : given;
  const head = ["emotion", ...columns.map(([name]) => name)].map((name) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = TEXTS[name];
    return cell;
  });
  at("scores-head").replaceChildren(...head);
  const known = best(result.scores).filter(([emotion]) => given.some(([, scores]) => emotion in scores));
  const rows = known.map(([emotion], index) => {
    const row = document.createElement("tr");
    row.classList.toggle("first", index === 0);
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = named(emotion);
    row.append(name, ...columns.map(([, scores]) => bar(scores[emotion], emotion)));
    return row;
  });
  at("scores").replaceChildren(...rows);
}

function bar(score, emotion) {
  const cell = document.createElement("td");
  const whole = document.createElement("div");
  whole.className = "bar";
  const track = document.createElement("span");
  track.className = "track";
  const number = document.createElement("span");
  number.className = "number";
  number.textContent = score === undefined ? TEXTS.none : percent(score);
  if (score !== undefined) {
    const fill = document.createElement("span");
    fill.className = "fill";
    fill.style.width = `${100 * score}%`;
    paint(fill, emotion);
    track.append(fill);
  }
  whole.append(track, number);
  cell.append(whole);
  return cell;
}

/** Effect of each part on the result; null while it is being computed. */
export function showWhy(result) {
  const explanation = result?.explanation ?? null;
  at("why-busy").hidden = explanation !== null;
  at("why-sentences").replaceChildren(...(explanation?.sentences ?? []).map((text) => listItem(say(result, text))));
  at("why-words").replaceChildren(...(explanation?.words ?? []).map(word));
  at("why-times").hidden = !explanation?.times.length;
  if (explanation?.times.length) drawTimes(explanation);
}

function listItem(text) {
  const item = document.createElement("li");
  item.textContent = text;
  return item;
}

function word({ text, influence }) {
  const said = document.createElement("span");
  said.textContent = text;
  said.title = TEXTS.whyWord(influence);
  const share = `${Math.min(70, Math.round(140 * Math.abs(influence)))}%`;
  const tone = influence > 0 ? "var(--accent)" : "var(--words)";
  said.style.background = `color-mix(in srgb, ${tone} ${share}, transparent)`;
  if (Math.abs(influence) > 0.02) said.style.borderBottomColor = tone;
  return said;
}

function drawTimes({ times, emotion }) {
  at("why-times").setAttribute("aria-label", TEXTS.whyTimes(named(emotion)));
  const { context, width, height } = prepare(at("why-times"));
  const style = getComputedStyle(document.documentElement);
  const from = times[0].start;
  const whole = times.at(-1).end - from;
  const most = Math.max(0.05, ...times.map(({ influence }) => Math.abs(influence)));
  const middle = height / 2;
  for (const { start, end, influence } of times) {
    const tall = (influence / most) * (middle - 5);
    context.fillStyle = style.getPropertyValue(influence > 0 ? "--accent" : "--words");
    context.fillRect(((start - from) / whole) * width + 1, middle - Math.max(0, tall), ((end - start) / whole) * width - 2, Math.abs(tall));
  }
  context.fillStyle = style.getPropertyValue("--soft");
  context.fillRect(0, middle, width, 1);
}
