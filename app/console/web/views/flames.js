// Call stacks of a window as a flame graph, by the script that draws the exported file too.

import { ask } from "../api.js";
import { count, el, fill, note } from "../dom.js";
import { draw } from "../flames.js";

export const title = "Flame graph";

const FIELDS = [["from", "From", "1h"], ["to", "To, not included", "now"], ["base_from", "Compare with: from", ""], ["base_to", "Compare with: to", ""], ["namespace", "Namespace", ""], ["image", "Image", ""]];

export async function show(root, parameters, context) {
  const answer = el("div", {});
  const form = el("form", { "aria-label": "Window" },
    FIELDS.map(([name, text, value]) => el("label", {}, text, el("input", { name, value: parameters[name] || value, autocomplete: "off", spellcheck: "false", size: name.includes("o") ? "16" : "12" }))),
    el("button", { class: "first" }, "Draw"));
  fill(root,
    el("h1", {}, "Flame graph"),
    el("p", {}, "Which code runs, and who calls it: callers above what they call, as wide as their events. With a second window, how shares changed between the two."),
    form, el("p", { class: "small soft" }, "Times are like 15m, 2h, now or 2026-01-31T12:00:00Z. The newest calls of a window are read, 200,000 at most. ", el("code", {}, "callstream export --format html"), " reads all of them."),
    answer);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
    for (const name of Object.keys(parameters)) delete parameters[name];
    Object.assign(parameters, wanted);
    context.remember(parameters);
    read(answer, parameters, context);
  });
  if (parameters.from) await read(answer, parameters, context);
}

async function read(answer, parameters, context) {
  fill(answer, el("p", { class: "soft", role: "status" }, "Reading calls…"));
  try {
    const found = await ask("flames", Object.fromEntries(FIELDS.map(([name]) => [name, parameters[name]])), context.signal);
    const said = (one) => `${count(one.calls, "call", "calls")} with a stack, of ${count(one.read.records, "record", "records")} that were read${one.read.is_cut ? "; older ones of this window were not" : ""}`;
    if (!found.calls) {
      fill(answer, note("", `No call of this window has a stack: ${said(found)}.`, el("p", {}, "Choose an earlier beginning, or see whether calls arrive: ", el("a", { href: "#/pipeline" }, "Pipeline"))));
      return;
    }
    const graph = el("div", {});
    fill(answer, el("p", {}, `${said(found)}.`, found.base ? ` Compared with ${said(found.base)}.` : ""), graph);
    draw(graph, found.graph, parameters, context);
  } catch (error) {
    if (error.name !== "AbortError") context.failed(fill(answer), error);
  }
}
