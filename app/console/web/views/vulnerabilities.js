// Vulnerabilities for which functions are watched, each with what the answers say together.

import { ask, latest } from "../api.js";
import { command, count, el, fill, note, number, table, verdict, word } from "../dom.js";

export const title = "Vulnerabilities";

export async function show(root, parameters, context) {
  const results = el("div", {});
  const input = el("input", { name: "find", type: "search", class: "wide", value: parameters.find || "", autocomplete: "off", spellcheck: "false" });
  const form = el("form", { role: "search", "aria-label": "Vulnerabilities" }, el("label", {}, "Vulnerability", input));
  fill(root, el("h1", {}, "Vulnerabilities"), el("p", {}, "The watches by what they are for. Of several functions, the answer that matters most is shown: one hit is a hit, and never holds only if it holds for all."), form, results);
  const draw = latest(async (isNewest) => {
    const find = input.value.trim();
    context.remember({ find });
    try {
      const found = await ask("vulnerabilities", { find }, context.signal);
      if (isNewest()) fill(results, listed(found, find));
    } catch (error) {
      if (error.name !== "AbortError" && isNewest()) context.failed(fill(results), error);
    }
  });
  form.addEventListener("input", draw);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    draw();
  });
  await draw();
}

function listed(found, find) {
  if (!found.vulnerabilities) return find ? note("", "No vulnerability has this in its name.") : note("", "No function is watched for a vulnerability. Whoever may write the watch list says what a watch is for with:", command("callstream watch add FUNCTION --build-id BUILD_ID --vulnerability CVE"));
  return [el("p", { class: "soft" }, count(found.vulnerabilities, "vulnerability", "vulnerabilities")), table("Vulnerabilities, those that matter most first", [
    { head: "Answer", cell: (row) => verdict(row.answer) },
    { head: "Vulnerability", row: true, cell: (row) => row.vulnerability },
    { head: "Hits", number: true, cell: (row) => number(row.hits) },
    { head: "Functions", name: true, cell: (row) => el("ul", { class: "tree" }, row.watches.map((watch) => el("li", {}, el("a", { class: "name", href: `#/watch?id=${encodeURIComponent(watch.watch_id)}` }, watch.watch_id), " ", verdict(watch.answer)))) },
  ], found.rows),
    el("h2", {}, "The whole verdict"),
    el("p", {}, "Whether the code is in your files at all, what changed and what is missing is said where the databases of vulnerabilities and the symbol store are:"),
    command(`callstream vulnerabilities status ${found.rows.slice(0, 3).map((row) => word(row.vulnerability)).join(" ")}`)];
}
