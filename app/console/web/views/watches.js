// The watch list with its answers.

import { ask, latest } from "../api.js";
import { command, count, el, fill, note, number, speak, table, verdict, when } from "../dom.js";

export const title = "Watches";

const KINDS = [["", "All answers"], ["Hit", "Hit"], ["NotSeen", "Not seen"], ["NeverEntered", "Never entered"], ["NeverHit", "Never hit"], ["Unknown", "No answer yet"]];
const PAGE = 100;

export async function show(root, parameters, context) {
  const results = el("div", {});
  const kinds = el("select", { name: "answer" }, KINDS.map(([value, text]) => el("option", { value, selected: value === (parameters.answer || "") }, text)));
  const form = el("form", { role: "search", "aria-label": "Watches" }, el("label", {}, "Function, file or vulnerability", el("input", { name: "find", type: "search", class: "wide", value: parameters.find || "", autocomplete: "off", spellcheck: "false" })), el("label", {}, "Answer", kinds));
  fill(root, el("h1", {}, "Watches"), el("p", {}, "Whether functions run that somebody asked about. An answer says never only if nothing could have been missed."), form, results);
  let first = Number(parameters.first) || 0;
  const draw = latest(async (isNewest) => {
    const wanted = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
    context.remember({ ...wanted, first: first ? String(first) : "" });
    try {
      const found = await ask("watches", { ...wanted, first, count: PAGE }, context.signal);
      if (!isNewest()) return;
      fill(results, listed(found, first, to));
      speak(count(found.found, "watch", "watches"));
    } catch (error) {
      if (error.name !== "AbortError" && isNewest()) context.failed(fill(results), error);
    }
  });
  const to = (place) => {
    first = place;
    return draw();
  };
  form.addEventListener("input", () => to(0));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    to(0);
  });
  await draw();
}

function listed(found, first, to) {
  if (!found.watches) return note("", "Nothing is watched. The console only reads; whoever may write the watch list adds a function with:", command("callstream watch add FUNCTION --build-id BUILD_ID --vulnerability CVE"));
  if (!found.found) return note("", "No watch matches.");
  const said = KINDS.filter(([kind]) => found.kinds[kind]).map(([kind, text]) => `${number(found.kinds[kind])} ${text.toLowerCase()}`).join(", ");
  return [
    el("p", { class: "soft" }, `${count(found.watches, "watch", "watches")}: ${said}`),
    watchTable("Watches, those that matter most first", found.rows),
    found.found > PAGE ? el("div", { class: "bar" }, el("button", { type: "button", disabled: first === 0, on: { click: () => to(Math.max(0, first - PAGE)) } }, "Before"), el("span", {}, `${number(first + 1)} to ${number(Math.min(first + PAGE, found.found))} of ${number(found.found)}`), el("button", { type: "button", disabled: first + PAGE >= found.found, on: { click: () => to(first + PAGE) } }, "More")) : null,
  ];
}

export function watchTable(caption, rows) {
  return table(caption, [
    { head: "Answer", cell: (row) => verdict(row.answer) },
    { head: "Function", row: true, name: true, cell: (row) => el("a", { class: "name", href: `#/watch?id=${encodeURIComponent(row.watch_id)}` }, row.watch_id) },
    { head: "Hits", number: true, cell: (row) => number(row.hits) },
    { head: "Why", cell: (row) => [row.why || "–", row.reasons_more ? el("div", { class: "soft small" }, `and ${count(row.reasons_more, "more reason", "more reasons")}`) : null] },
    { head: "For", cell: (row) => row.vulnerabilities.join(", ") || "–" },
    { head: "Since", cell: (row) => when(row.since) },
  ], rows);
}
