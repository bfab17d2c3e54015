// Requests of the labelling page. Labels wait in the browser's own store until the server has them.
let token = "";
let askForToken = async () => "";

/** The token follows the # of the printed address. Browsers do not send that part. */
export function keepToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  token = sessionStorage.getItem("token") ?? "";
}

export function onTokenNeeded(askPerson) {
  askForToken = askPerson;
}

/** Fetch with the token. A problem is thrown as an error with a one-sentence message, and its status. */
export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) } });
  } catch {
    throw Object.assign(new Error("The server does not answer. Is it still running?"), { status: 0 });
  }
  if (answer.status === 401) {
    token = await askForToken();
    sessionStorage.setItem("token", token);
    return ask(path, options);
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(problem.detail ?? `${answer.status} ${answer.statusText}`), { status: answer.status });
  }
  return answer;
}

/** Sends labels one after another, and again until the server has them. A closed browser sends them when it is back. */
class Sender {
  #queue = [];
  #busy = null;
  #watch = () => {};
  #place = "";

  watch(told) {
    this.#watch = told;
  }

  resume(rater) {
    this.#place = `bimodal-label ${location.host}${location.pathname} ${rater}`;
    this.#queue = JSON.parse(localStorage.getItem(this.#place) ?? "[]");
    this.#work();
  }

  waiting() {
    return this.#queue.map((one) => one.clip);
  }

  label(body) {
    this.#queue.push(body);
    this.#keep();
    this.#work();
  }

  /** Resolves when every label is stored; rejects when one cannot be now. */
  async finished() {
    await this.#busy;
    if (this.#queue.length) throw new Error("Some labels are not stored yet. Wait a moment.");
  }

  #keep() {
    if (this.#queue.length) localStorage.setItem(this.#place, JSON.stringify(this.#queue));
    else localStorage.removeItem(this.#place);
    this.#watch(this.#queue.length, "");
  }

  #work() {
    this.#busy ??= this.#sendAll().finally(() => (this.#busy = null));
  }

  async #sendAll() {
    while (this.#queue.length) {
      try {
        await ask("v1/label/labels", { method: "POST", body: JSON.stringify(this.#queue[0]), headers: { "Content-Type": "application/json" } });
      } catch (error) {
        const refused = error.status >= 400 && error.status < 500 && error.status !== 408 && error.status !== 429;
        if (!refused) {
          this.#watch(this.#queue.length, error.message);
          setTimeout(() => this.#work(), 2000);
          return;
        }
        document.getElementById("alert").textContent = `A label was refused: ${error.message}`;
      }
      this.#queue.shift();
      this.#keep();
    }
  }
}

export const send = new Sender();
