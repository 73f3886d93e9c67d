// The pipeline now: the picture, with rates, lag, buffers and losses, asked every two seconds while somebody looks.

import { ask } from "../api.js";
import { count, el, facts, fill, note, number, seconds, table, when } from "../dom.js";
import { lines } from "../chart.js";

export const title = "Pipeline";

const WRITES = { ingest: "tetragon.raw, runtime.coverage", canonicalize: "runtime.canonical", privacy: "runtime.calls", "hot-symbols": "runtime.hot-symbols, runtime.watched" };
const ORDER = Object.keys(WRITES);
const PAUSE_MS = 2000;

export async function show(root, _parameters, { signal, failed }) {
  const head = el("p", { class: "soft" });
  const stages = el("ol", { class: "stages", "aria-label": "Processes in the order in which events pass them" });
  const trouble = el("div", {});
  const chart = el("div", { class: "chart" });
  const below = el("div", {});
  let drawn = null;
  const draw = async () => {
    const found = await ask("pipeline", {}, signal);
    if (!root.firstChild) fill(root, el("h1", {}, "Pipeline"), head, trouble, stages, el("h2", {}, "Events a second"), chart, below);
    fill(head, when(found.time, true), ` · ${count(found.processes.length, "process answers", "processes answer")}`);
    fill(trouble, troubles(found));
    fill(stages, kinds(found).map(stage));
    fill(below, inForce(found), losses(found), processes(found));
    drawn = lines(chart, found.moments, ORDER, drawn);
  };
  await draw();
  const again = async () => {
    if (signal.aborted) return;
    try {
      if (!document.hidden) await draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      root.replaceChildren();
      return failed(root, error);
    }
    setTimeout(again, PAUSE_MS);
  };
  setTimeout(again, PAUSE_MS);
}

function kinds(found) {
  const known = Object.fromEntries(found.kinds.map((one) => [one.process, one]));
  return ORDER.map((name) => known[name] || { process: name, processes: 0 });
}

function stage(one) {
  const isThere = one.processes > 0;
  const alarming = (value) => el("span", { class: value ? "bad" : null }, number(value));
  return el("li", {},
    el("h3", {}, one.process),
    el("p", { class: "rate" }, isThere ? `${number(one.out_rate)}/s` : el("span", { class: "bad" }, "not there")),
    el("p", { class: "small soft" }, isThere ? `written, of ${number(one.in_rate)}/s read by ${count(one.processes, "process", "processes")}` : "no process of this kind answers"),
    facts(
      one.process !== "ingest" && ["Lag", one.lag_records === undefined || one.lag_records === null ? "–" : `${number(one.lag_records)} · ${seconds(one.lag_seconds)}`],
      isThere && ["Waiting", one.waiting_bytes ? `${number(one.waiting_records)} · ${number(one.waiting_bytes / 1048576)} MiB` : number(one.waiting_records)],
      isThere && one.process === "ingest" && ["Dropped", alarming(one.dropped)],
      isThere && one.process === "ingest" && ["Gaps", alarming(one.gaps)],
      isThere && one.process !== "ingest" && ["Dead letters", alarming(one.dead_letters)],
      isThere && ["Restarts seen", alarming(one.restarts)],
      isThere && ["Up", seconds(one.up_seconds)],
    ),
    el("p", { class: "into" }, "into ", WRITES[one.process]));
}

function troubles(found) {
  const rows = [
    ...(found.advice ? [found.advice] : []),
    ...found.unread.map((one) => `${one.address} does not answer: ${one.reason}`),
    ...found.processes.filter((one) => one.not_ready.length).map((one) => `${one.process} at ${one.address} is not ready: ${one.not_ready.join(", ")}; its /readyz says why`),
  ];
  return rows.length ? note("bad", ...rows) : null;
}

function inForce(found) {
  const named = (all) => all.length ? all.map((one) => el("div", {}, el("code", {}, one.value), el("span", { class: "soft" }, ` in ${one.processes.join(", ")}`))) : "not told";
  const { policies, snapshots, versions } = found.in_force;
  return [
    el("h2", {}, "In force"),
    policies.length > 1 && note("bad", "Two privacy policies are in force. After a reload that passes within a minute."),
    facts(["Privacy policy", named(policies)], ["Symbol snapshot", named(snapshots)], ["Version", named(versions)], ["Dead letters open", found.letters_open ? el("a", { href: "#/letters" }, number(found.letters_open)) : number(found.letters_open)]),
  ];
}

function losses(found) {
  const rows = [];
  for (const one of found.processes) {
    for (const [what, causes] of Object.entries(one.causes)) {
      for (const [cause, events] of Object.entries(causes)) rows.push({ process: one.process, address: one.address, what, cause, events });
    }
  }
  const head = el("h2", {}, "Losses, by place");
  if (!rows.length) return [head, el("p", {}, "Since the processes started, nothing was dropped, refused or passed over.")];
  rows.sort((a, b) => b.events - a.events);
  return [head, table("Counted since each process started", [
    { head: "Where", row: true, cell: (row) => `${row.process} at ${row.address}` },
    { head: "What", cell: (row) => row.what },
    { head: "Why", name: true, cell: (row) => row.cause },
    { head: "How many", number: true, cell: (row) => number(row.events) },
  ], rows)];
}

function processes(found) {
  return [el("h2", {}, "Processes"), found.processes.length ? table("Rates are of the last seconds; a dash is not known yet", [
    { head: "Process", row: true, cell: (row) => row.process },
    { head: "Address", cell: (row) => row.address },
    { head: "In a second", number: true, cell: (row) => number(row.in_rate) },
    { head: "Out a second", number: true, cell: (row) => number(row.out_rate) },
    { head: "Lag", number: true, cell: (row) => number(row.lag_records) },
    { head: "Waiting", number: true, cell: (row) => number(row.waiting_records) },
    { head: "Restarts seen", number: true, cell: (row) => number(row.restarts) },
    { head: "Up", number: true, cell: (row) => seconds(row.up_seconds) },
    { head: "Version", cell: (row) => row.version.replace(/\b([0-9a-f]{12})[0-9a-f]{28}\b/, "$1") },
  ], found.processes) : el("p", {}, "No process is known.")];
}
