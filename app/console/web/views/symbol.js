// One symbol: when it ran and where, how sure its name is, who reaches it, and events to check it by.

import { ask } from "../api.js";
import { bars } from "../chart.js";
import { command, count, el, facts, fill, note, number, share, table, when, word } from "../dom.js";
import { draw as drawFlames } from "../flames.js";
import { nameOf } from "./symbols.js";

export const title = "Symbol";

export async function show(root, parameters, context) {
  const { id } = parameters;
  if (!id) {
    fill(root, el("h1", {}, "Symbol"), note("", "No symbol is named.", el("p", {}, el("a", { href: "#/symbols" }, "Search for one"))));
    return;
  }
  fill(root, el("p", {}, el("a", { href: "#/symbols" }, "← Symbols")), el("h1", {}, title));
  const { row, shown_name: shownName } = await ask("symbol", { id }, context.signal);
  const chart = el("div", { class: "chart" });
  const paths = el("div", {});
  fill(root,
    el("p", {}, el("a", { href: "#/symbols" }, "← Symbols")),
    el("h1", { class: "name" }, nameOf({ ...row, shown_name: shownName })),
    facts(
      shownName !== row.symbol && row.symbol && ["Mangled", el("span", { class: "name" }, row.symbol)],
      ["File", el("span", { class: "name" }, row.module)],
      row.build_id && ["Build id", el("span", { class: "name" }, row.build_id)],
      ["Space", row.is_kernel_space ? "kernel" : "user"],
      ["Hits", number(row.hits)],
      ["Sureness", sureness(row)],
      ["First seen", when(row.first_seen, true)],
      ["Last seen", when(row.last_seen, true)]),
    el("h2", {}, "By hour"), row.hourly_hits.length ? chart : el("p", {}, "No hit in the hours that the row keeps."),
    el("h2", {}, "Where it ran"),
    places(row),
    el("h2", {}, "Who reaches it"),
    el("p", {}, "The direct callers are counted over all calls. The paths are read from the newest calls when you ask."),
    callers(row),
    el("p", {}, el("button", { type: "button", class: "first", on: { click: () => readPaths(paths, parameters, context) } }, "Show the paths that reach it")), paths,
    el("h2", {}, "Events to check it by"), events(row),
    row.snapshots.length ? [el("h2", {}, "Named by"), table("Snapshots of the symbol store whose index gave it this name", [
      { head: "Snapshot", row: true, name: true, cell: (one) => one.snapshot },
      { head: "Last seen", cell: (one) => when(one.last_seen) },
    ], row.snapshots)] : null);
  if (parameters.view) await readPaths(paths, parameters, context);
  if (row.hourly_hits.length) bars(chart, [...row.hourly_hits].sort((a, b) => a.hour - b.hour).map((one) => ({ hour: one.hour, hits: one.hits })));
}

function sureness(row) {
  if (row.evidence === "Binary") return "sure: the kernel reported the execution of this file";
  if (!row.hits) return "–";
  const sure = `${share(row.confirmed_hits, row.hits)} of the hits`;
  return row.confirmed_hits === row.hits ? `sure: our own index, the kernel or a probe confirms the name of all hits` : `${sure} have a name that our own index, the kernel or a probe confirms; the others only the agent's word`;
}

function places(row) {
  const lists = [
    row.workloads.length && table("Workloads, seen last first", [
      { head: "Workload", row: true, name: true, cell: (one) => `${one.namespace ? `${one.namespace}/` : ""}${one.name}` },
      { head: "Kind", cell: (one) => one.kind || "–" },
      { head: "Last seen", cell: (one) => when(one.last_seen) },
    ], row.workloads),
    row.images.length && table("Images, seen last first", [
      { head: "Image", row: true, name: true, cell: (one) => one.image_name || one.image_id },
      { head: "Last seen", cell: (one) => when(one.last_seen) },
    ], row.images),
    row.namespaces.length && table("Namespaces, seen last first", [
      { head: "Namespace", row: true, name: true, cell: (one) => one.namespace },
      { head: "Last seen", cell: (one) => when(one.last_seen) },
    ], row.namespaces),
  ].filter(Boolean);
  return lists.length ? el("div", { class: "columns" }, lists) : el("p", {}, "On nodes, outside of containers, as far as the events say.");
}

function callers(row) {
  if (!row.callers.length) return el("p", { class: "soft" }, "No caller is known: it was the outermost frame, or there was no stack.");
  return [table("Direct callers, most hits first", [
    { head: "Caller", row: true, name: true, cell: (one) => el("a", { class: "name", href: `#/symbol?id=${encodeURIComponent(one.symbol_id)}` }, one.shown_name) },
    { head: "Hits", number: true, cell: (one) => number(one.hits) },
  ], row.callers), row.callers_shortfall ? el("p", { class: "soft small" }, `Each may be up to ${number(row.callers_shortfall)} more.`) : null];
}

async function readPaths(paths, parameters, context) {
  fill(paths, el("p", { class: "soft", role: "status" }, "Reading the newest calls…"));
  try {
    const found = await ask("flames", { symbol: parameters.id }, context.signal);
    const read = `${count(found.read.records, "call", "calls")} were read${found.read.is_cut ? ", the newest ones; older calls were not" : ", all that the topic holds"}.`;
    if (!found.calls) {
      fill(paths, note("", `It is on no stack among them. ${read}`));
      return;
    }
    const graph = el("div", {});
    fill(paths, el("p", {}, `${count(found.calls, "call has", "calls have")} it on the stack; who reaches it stands above it, what it calls below. ${read}`), graph,
      table("Some of these calls", [
        { head: "Event", row: true, name: true, cell: (one) => one.event_id },
        { head: "Time", cell: (one) => when(one.timestamp) },
        { head: "Probe", cell: (one) => one.probe_type },
        { head: "Program", name: true, cell: (one) => one.binary || "–" },
        { head: "Where", cell: (one) => [one.namespace, one.workload || one.pod_name].filter(Boolean).join("/") || one.node_name || "–" },
        { head: "Raw record", number: true, cell: (one) => `${one.source.partition}:${one.source.offset}` },
      ], found.events));
    drawFlames(graph, found.graph, parameters, context, parameters.id);
  } catch (error) {
    if (error.name !== "AbortError") context.failed(fill(paths), error);
  }
}

function events(row) {
  if (!row.events.length) return el("p", {}, "The row cites no event.");
  return [table("The first, the last, and the first of each of the newest hours", [
    { head: "Event", row: true, name: true, cell: (one) => el("a", { href: `#/audit?event=${encodeURIComponent(one.event_id)}` }, one.event_id) },
    { head: "Time", cell: (one) => when(one.time) },
    { head: "Raw record", number: true, cell: (one) => `${one.partition}:${one.offset}` },
  ], row.events), el("p", { class: "small" }, "Whoever may read the raw topic gets from an event to its raw record and its place in the proof with:"), command(`callstream replay --verify MANIFEST --event ${word(row.events[0].event_id)}`)];
}
