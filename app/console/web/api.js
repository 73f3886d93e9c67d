// Questions to the console's server. The token lives in this module's memory: it is in no address, store or cookie.

let token = null;

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export function useToken(text) {
  token = text || null;
}

export function hasToken() {
  return token !== null;
}

async function answerOf(path, options) {
  const headers = { ...(options.headers || {}), ...(token === null ? {} : { Authorization: `Bearer ${token}` }) };
  let answer;
  try {
    answer = await fetch(new URL(path, document.baseURI), { ...options, headers, cache: "no-store", credentials: "same-origin", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The console does not answer. Is callstream console still running?");
  }
  let document_;
  try {
    document_ = await answer.json();
  } catch {
    throw new Refused(answer.status, `The console answered with status ${answer.status}, and no document.`);
  }
  if (!answer.ok) throw new Refused(answer.status, document_.error || `status ${answer.status}`);
  return document_;
}

export function ask(name, parameters, signal) {
  const query = new URLSearchParams(Object.entries(parameters || {}).filter(([, value]) => value !== "" && value !== null && value !== undefined));
  return answerOf(`api/${name}${query.size ? `?${query}` : ""}`, { signal });
}

// `work`, one at a time: what is wanted while it runs is done once after it, with what is wanted by then. So no answer
// waits for one that nobody looks at any more, and none is drawn over a newer one: `work` asks `isNewest` before it draws.
export function latest(work) {
  let running = null;
  let isWanted = false;
  const run = async () => {
    try {
      do {
        isWanted = false;
        await work(() => !isWanted);
      } while (isWanted);
    } finally {
      running = null;
    }
  };
  return () => {
    isWanted = Boolean(running);
    running ??= run();
    return running;
  };
}

export function tryOut(question) {
  return answerOf("api/try-out", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question) });
}
