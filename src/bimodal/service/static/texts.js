// The texts of the page in the language of the document. Each language is a file in texts/ with the same keys.
export const LANGUAGES = ["en", "de"];
export const LANGUAGE = LANGUAGES.includes(document.documentElement.lang) ? document.documentElement.lang : "en";
export const { TEXTS } = await import(`./texts/${LANGUAGE}.js`);

const counted = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 2 });

export function percent(share) {
  return `${Math.round(100 * share)} %`;
}

export function signed(value) {
  return value === null ? "" : `${value < 0 ? "−" : "+"}${number(Math.abs(value).toFixed(2))}`;
}

/** A number, or text that is one, as the language writes it. Other text stays. */
export function number(value) {
  const text = String(value).trim();
  return /^[+-]?\d+(\.\d+)?$/.test(text) ? (LANGUAGE === "de" ? text.replace(".", ",") : text) : text;
}

/** A whole number with separators. */
export function count(value) {
  return counted.format(value);
}

/** The name of an emotion; one that the language has no word for keeps that of the model. */
export function named(emotion) {
  return TEXTS.emotions[emotion] ?? emotion;
}

const languages = new Intl.DisplayNames(LANGUAGE, { type: "language", fallback: "code" });
const languageNames = (codes) => codes.split(", ").map((code) => (/^[a-z]{2,3}$/.test(code) ? languages.of(code) : code)).join(", ");
const VALUES = { emotion: named, voice: named, words: named, language: languageNames, read: languageNames };

/** A sentence of the server by its code; the sentence itself where the page has no text for the code. */
export function told(message) {
  const text = TEXTS.messages[message.code];
  const values = Object.fromEntries(Object.entries(message.values ?? {}).map(([name, value]) => [name, number((VALUES[name] ?? String)(value))]));
  return sentence(text === undefined ? message.text : typeof text === "function" ? text(values) : text);
}

/** With a capital letter and a full stop. */
export function sentence(text) {
  const whole = `${text[0].toUpperCase()}${text.slice(1)}`;
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
