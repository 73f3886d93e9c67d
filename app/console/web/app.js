// Which view is shown: #/NAME?PARAMETERS. Such an address can be shared; a token in it is taken out at once.

import { ask, Refused, useToken } from "./api.js";
import { add, el, fill, note, number } from "./dom.js";

const VIEWS = [
  ["pipeline", "Pipeline"],
  ["coverage", "Coverage"],
  ["symbols", "Symbols"],
  ["flames", "Flame graph"],
  ["watches", "Watches"],
  ["vulnerabilities", "Vulnerabilities"],
  ["privacy", "Privacy"],
  ["audit", "Audit"],
  ["letters", "Dead letters"],
];
const INNER = { symbol: "symbols", watch: "watches" };
const STATE_MS = 5000;

const main = document.getElementById("main");
let shown = 0;
let leave = () => {};

function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { name: path, parameters: new URLSearchParams(query || "") };
}

function takeToken() {
  const { name, parameters } = place();
  const whole = new URLSearchParams(name.includes("=") ? name : "");
  const token = whole.get("token") || parameters.get("token");
  if (!token) return;
  useToken(token);
  parameters.delete("token");
  const rest = name.includes("=") ? "/pipeline" : `/${name}${parameters.size ? `?${parameters}` : ""}`;
  history.replaceState(null, "", `#${rest}`);
}

// Keeps what a view is about in the address, without a new entry in the history.
function remember(name, parameters) {
  const kept = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  history.replaceState(null, "", `#/${name}${kept.size ? `?${kept}` : ""}`);
}

async function show() {
  takeToken();
  const mine = ++shown;
  const { name: wanted, parameters } = place();
  const known = VIEWS.some(([name]) => name === wanted) || wanted in INNER;
  const name = known ? wanted : "pipeline";
  leave();
  leave = () => {};
  for (const link of document.querySelectorAll("#views a")) {
    if (link.dataset.name === (INNER[name] || name)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  delete main.dataset.ready;
  const root = el("div", {});
  const stop = new AbortController();
  leave = () => stop.abort();
  try {
    const view = await import(`./views/${name}.js`);
    if (mine !== shown) return;
    fill(main, root);
    document.title = `${view.title} – callstream`;
    const keep = (values) => mine === shown && remember(name, values); // an answer that comes late moves nobody
    await view.show(root, Object.fromEntries(parameters), { signal: stop.signal, remember: keep, failed });
  } catch (error) {
    if (mine !== shown || error.name === "AbortError") return;
    failed(root, error);
  }
  if (mine !== shown) return;
  main.dataset.ready = name;
  const head = main.querySelector("h1");
  if (head && document.activeElement === document.body) {
    head.setAttribute("tabindex", "-1");
    head.focus({ preventScroll: true });
  }
}

// Says what is wrong, and what to do about it. A wrong token asks for the right one.
function failed(root, error) {
  if (!root.isConnected) fill(main, root);
  if (error instanceof Refused && error.status === 401) {
    fill(root, tokenForm());
    root.querySelector("input").focus();
    return;
  }
  if (!(error instanceof Refused)) console.error(error);
  const text = error instanceof Refused ? error.message : "This view could not be shown; the browser's console says why.";
  add(root, [note("bad", text, el("p", {}, el("button", { type: "button", on: { click: show } }, "Try again")))]);
}

function tokenForm() {
  const input = el("input", { type: "password", id: "token", autocomplete: "off", spellcheck: "false", required: true, class: "wide" });
  const submit = (event) => {
    event.preventDefault();
    useToken(input.value.trim());
    start();
  };
  return [
    el("h1", {}, "Who is looking?"),
    el("p", {}, "The console shows its data to those who have its token. It was printed when the console was started, or is in the file that CALLSTREAM_CONSOLE_TOKEN_FILE names. This page forgets it when it is closed."),
    el("form", { on: { submit } }, el("label", { for: "token" }, "Token", input), el("button", { class: "first" }, "Show the console")),
  ];
}

const state = document.getElementById("state");
let timer = 0;

async function watchState() {
  clearTimeout(timer);
  try {
    const about = await ask("about");
    const said = about.trouble ? `Topics cannot be read now: ${about.trouble}` : about.is_read ? "" : `Topics are still being read: ${number(about.symbols)} symbols so far.`;
    if (state.textContent !== said) fill(state, said);
    state.hidden = !said;
  } catch (error) {
    if (error.status === 401) return;
    fill(state, error.message);
    state.hidden = false;
  }
  timer = setTimeout(watchState, document.hidden ? 6 * STATE_MS : STATE_MS);
}

function start() {
  show();
  watchState();
}

fill(document.getElementById("views"), VIEWS.map(([name, text]) => el("li", {}, el("a", { href: `#/${name}`, "data-name": name }, text))));
window.addEventListener("hashchange", show);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
start();
