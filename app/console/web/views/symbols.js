// Search as you type among the functions that ran; any other name of a function is asked of workers.

import { ask, latest } from "../api.js";
import { count, el, fill, note, number, share, speak, table, when } from "../dom.js";

export const title = "Symbols";

const FIELDS = [["text", "Function"], ["file", "File"], ["build_id", "Build id"], ["image", "Image"], ["namespace", "Namespace"]];
const COUNT = 30; // more than a screen shows, and each costs a search that is drawn with every key

export async function show(root, parameters, context) {
  const results = el("div", {});
  const others = el("div", {});
  const form = el("form", { role: "search", "aria-label": "Symbols" }, FIELDS.map(([name, text], at) => el("label", {}, text, el("input", { name, type: "search", value: parameters[name] || "", autocomplete: "off", spellcheck: "false", class: at ? null : "wide" }))));
  fill(root, el("h1", {}, "Symbols"), el("p", {}, "Functions that ran, most hits first. Parts of a name will do, several words too."), form, results, others);
  const search = latest(async (isNewest) => {
    const wanted = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
    try {
      const found = await ask("symbols", { ...wanted, count: COUNT }, context.signal);
      if (!isNewest()) return;
      fill(others);
      fill(results, rows(found, wanted), otherNames(wanted, others, context));
      speak(`${number(found.found)} of ${number(found.of)} symbols`);
    } catch (error) {
      if (error.name !== "AbortError" && isNewest()) context.failed(fill(results), error);
    }
    context.remember(wanted); // after the rows, which somebody waits for
  });
  form.addEventListener("input", search);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  await search();
}

function rows(found, wanted) {
  if (!found.of) return note("", found.is_read ? "No function is known yet. The hot-symbols workers publish the first rows some seconds after the first calls." : "The rows are still being read.");
  if (!found.found) return note("", "No row matches. A function that never ran has no row, and neither has one that nobody looked at: to learn that it never runs, watch it.", wanted.text ? el("p", {}, el("a", { href: `#/watches?find=${encodeURIComponent(wanted.text)}` }, "Is it watched?")) : null);
  const matching = found.found < found.of ? ` that ${found.found === 1 ? "matches" : "match"}, of ${number(found.of)}` : "";
  return [el("p", { class: "soft" }, `${number(Math.min(found.found, COUNT))} of ${count(found.found, "symbol", "symbols")}${matching}`), symbolTable("Symbols, most hits first", found.rows)];
}

export function symbolTable(caption, found) {
  return table(caption, [
    { head: "Function", row: true, name: true, cell: (row) => el("a", { class: "name", href: `#/symbol?id=${encodeURIComponent(row.symbol_id)}` }, nameOf(row)) },
    { head: "Hits", number: true, cell: (row) => number(row.hits) },
    { head: "Sure", number: true, cell: (row) => share(row.confirmed_hits, row.hits) },
    { head: "File", name: true, cell: (row) => [row.module, row.build_id ? el("div", { class: "soft small" }, row.build_id) : null] },
    { head: "Last seen", cell: (row) => when(row.last_seen) },
  ], found);
}

export function nameOf(row) {
  if (row.evidence === "Binary") return `${row.module} (executed)`;
  return row.shown_name || row.symbol || "(function unknown)";
}

function otherNames(wanted, others, { signal }) {
  if (!wanted.text || /[\s*?[]/.test(wanted.text)) return null;
  const look = async () => {
    fill(others, el("p", { class: "soft" }, "Asking the workers…"));
    try {
      const found = await ask("names", { symbol: wanted.text }, signal);
      fill(others, el("h2", {}, "Under any name"), found.rows.length ? symbolTable(`Rows of the function that is called ${wanted.text}`, found.rows) : el("p", {}, `The workers have no row of a function with exactly this name: ${wanted.text}`));
    } catch (error) {
      if (error.name !== "AbortError") fill(others, note("bad", error.message));
    }
  };
  return el("p", {}, el("button", { type: "button", on: { click: look } }, `Rows of ${wanted.text} under its other names`));
}
