// A lane a node over time, and whether one window of one node can be trusted.

import { ask, latest } from "../api.js";
import { count, el, facts, fill, note, number, seconds, share, speak, svg, table, verdict, when } from "../dom.js";

export const title = "Coverage";

const DOUBTS = new Set(["LossesUnread", "Unvouched", "Expired"]);
const PAGE = 25; // more than a screen shows, and each is a lane and a row
const NARROWEST = 3; // of a thousand: what lasts seconds is seen too, also where it ends now

export async function show(root, parameters, context) {
  const lanes = el("div", {});
  const probed = el("div", {});
  const answer = el("div", {});
  const draw = latest((isNewest) => Promise.all([drawLanes(lanes, parameters, context, again, isNewest), drawProbed(probed, parameters, context, isNewest)]));
  const again = async (changed) => {
    Object.assign(parameters, changed);
    context.remember(parameters);
    try {
      await draw();
    } catch (error) {
      if (error.name !== "AbortError") context.failed(fill(lanes), error);
    }
  };
  fill(root,
    el("h1", {}, "Coverage"),
    el("p", {}, "When ingest vouched for the events of each node, and where events may be missing. A window can be trusted if it is vouched for as a whole and no gap touches it."),
    el("h2", {}, "Can a window be trusted?"), windowForm(parameters, answer, context), answer,
    el("h2", {}, "Nodes"), laneForm(parameters, again), lanes,
    el("h2", {}, "What was probed"), probed);
  await draw();
  if (parameters.node && parameters.from) await judge(answer, parameters, context);
}

function field(name, text, value, extra) {
  return el("label", {}, text, el("input", { name, value: value || "", autocomplete: "off", spellcheck: "false", ...extra }));
}

function values(form) {
  return Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
}

function windowForm(parameters, answer, context) {
  const form = el("form", { "aria-label": "Window" },
    field("node", "Node", parameters.node, { required: true, list: "nodes" }),
    el("datalist", { id: "nodes" }),
    field("cluster", "Cluster, if it has one", parameters.cluster),
    field("from", "From", parameters.from || "2h", { required: true, size: "21" }),
    field("to", "To, not included", parameters.to || "now", { required: true, size: "21" }),
    el("button", { class: "first" }, "Trusted?"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    Object.assign(parameters, values(form));
    context.remember(parameters);
    try {
      await judge(answer, parameters, context);
    } catch (error) {
      context.failed(fill(answer), error);
    }
  });
  return [form, el("p", { class: "small soft" }, "Times are like 2h, 3d, now or 2026-01-31T12:00:00Z. Ingest vouches some 70 seconds late.")];
}

async function judge(answer, { node, cluster, from, to }, { signal }) {
  fill(answer, el("p", { class: "soft" }, "Asking…"));
  const found = await ask("window", { node, cluster, from, to }, signal);
  const [first, ...why] = found.lines;
  fill(answer, note(found.trust === "trusted" ? "" : "bad",
    el("p", {}, verdict(found.trust, true)),
    el("p", {}, first),
    why.length ? el("ul", {}, why.map((line) => el("li", {}, line.trim()))) : null,
    found.trust === "unknown" ? el("p", {}, "If the window ends now, ask again in two minutes. Otherwise look whether ingest runs on the node: ", el("code", {}, "callstream doctor coverage")) : null,
    found.trust === "not-trusted" ? el("p", {}, "A gap stays. Choose a window that does not touch it, or take what is missing into account.") : null));
  speak(`${node}: ${found.trust}`);
}

function laneForm(parameters, again) {
  const span = el("select", { name: "span" }, [["2h", "2 hours"], ["24h", "24 hours"], ["7d", "7 days"], ["30d", "30 days"]].map(([value, text]) => el("option", { value, selected: value === (parameters.span || "24h") }, text)));
  const form = el("form", { "aria-label": "Lanes", role: "search" }, el("label", {}, "Since", span), field("find", "Node or cluster", parameters.find, { type: "search" }));
  const changed = (event) => {
    event.preventDefault();
    again({ ...values(form), first: "" });
  };
  form.addEventListener("submit", changed);
  form.addEventListener("input", changed);
  return form;
}

async function drawLanes(lanes, parameters, context, again, isNewest) {
  const first = Number(parameters.first) || 0;
  const found = await ask("nodes", { from: parameters.span || "24h", find: parameters.find, first, count: PAGE }, context.signal);
  if (!isNewest()) return;
  const nodes = document.getElementById("nodes");
  if (nodes) fill(nodes, found.lanes.map((row) => el("option", { value: row.node })));
  if (!found.nodes) {
    fill(lanes, note("", parameters.find ? "No node has this name." : "No node is known yet. Ingest tells of its node as soon as it is connected to Tetragon; the hot-symbols workers keep the table of nodes."));
    return;
  }
  const to = (from) => () => again({ first: String(from) });
  fill(lanes,
    el("p", {}, `${count(found.nodes, "node", "nodes")}${found.nodes > 1 ? ", the one that misses most first" : ""}. ${found.missing_nodes ? `Events may be missing of ${count(found.missing_nodes, "node", "nodes")}.` : "Nothing is missing."}`),
    legend(),
    el("div", { class: "lanes" },
      found.lanes.flatMap((row) => lane(row, found, parameters, context)),
      el("div", { class: "axis" }, el("span", {}, when(found.from_ms)), el("span", {}, when(found.to_ms)))),
    found.nodes > PAGE ? el("div", { class: "bar" },
      el("button", { type: "button", disabled: first === 0, on: { click: to(Math.max(0, first - PAGE)) } }, "Before"),
      el("span", {}, `${number(first + 1)} to ${number(Math.min(first + PAGE, found.nodes))} of ${number(found.nodes)}`),
      el("button", { type: "button", disabled: first + PAGE >= found.nodes, on: { click: to(first + PAGE) } }, "More")) : null,
    table("The same as numbers", [
      { head: "Node", row: true, cell: (row) => named(row) },
      { head: "Vouched", number: true, cell: (row) => seconds(row.watched_ms / 1000) },
      { head: "Missing", number: true, cell: (row) => seconds(row.missing_ms / 1000) },
      { head: "Counted as lost", number: true, cell: (row) => row.events_lost === null ? "not counted" : number(row.events_lost) },
      { head: "Why", cell: (row) => [...new Set(row.lane.missing.map((part) => part[2]))].join(", ") || "–" },
      { head: "Vouched until", cell: (row) => when(row.vouched_until) },
      { head: "Gone", cell: (row) => row.gone_by === null ? "–" : [when(row.gone), ` by the word of ${row.gone_by || "nobody in particular"}`] },
      { head: "Ingest", cell: (row) => row.ingest_version || "–" },
    ], found.lanes));
}

async function drawProbed(probed, parameters, { signal }, isNewest) {
  const found = await ask("probes", { from: parameters.span || "24h", find: parameters.find }, signal);
  if (!isNewest()) return;
  fill(probed, found.policies ? table("Tracing policies that agents said were loaded; of each node the newest word", [
    { head: "Policy", row: true, name: true, cell: (row) => (row.namespace ? `${row.namespace}/` : "") + row.policy },
    { head: "Nodes", number: true, cell: (row) => number(row.nodes) },
    { head: "State", cell: (row) => Object.entries(row.states).map(([state, nodes]) => `${state} on ${number(nodes)}`).join(", ") },
    { head: "Hooks loaded", number: true, cell: (row) => (row.hooks ? `${number(row.loaded)} of ${number(row.hooks)}` : "not told") },
    { head: "On all since", cell: (row) => when(row.since) },
    { head: "On all until", cell: (row) => when(row.until) },
  ], found.rows) : note("", "No agent has told of its policies since then. Ingest asks agents that can tell; without it, only the word of a watch's author says what was probed."));
}

function named(row) {
  return row.cluster ? `${row.cluster}/${row.node}` : row.node;
}

function legend() {
  const part = (cls, text) => el("li", {}, svg("svg", { viewBox: "0 0 16 12", "aria-hidden": "true" }, svg("rect", { class: cls, width: 16, height: 12, rx: 2 })), text);
  return el("ul", { class: "legend", "aria-label": "What the colours mean" }, part("v", "vouched for"), part("m", "events may be missing"), part("d", "nobody vouched, or losses were not read"), part("n", "the node was not there, or not yet"));
}

function lane(row, { from_ms: from, to_ms: to }, parameters, context) {
  const width = 1000;
  const x = (ms) => (width * (ms - from)) / (to - from);
  const wide = (begin, end) => Math.max(NARROWEST, x(end) - x(begin));
  const rects = (parts, cls, y, height) => parts.map(([begin, end, cause]) => svg("rect", { class: typeof cls === "function" ? cls(cause) : cls, x: Math.min(x(begin), width - wide(begin, end)), y, width: wide(begin, end), height }, svg("title", {}, `${cause || ""} ${new Date(begin).toISOString()} to ${new Date(end).toISOString()}`)));
  const whole = row.watched_ms + row.missing_ms;
  const said = `${named(row)}: ${share(row.watched_ms, whole)} vouched for; ${count(row.lane.missing.length, "stretch", "stretches")} in which events may be missing`;
  const choose = () => {
    const form = document.querySelector('form[aria-label="Window"]');
    form.elements.node.value = row.node;
    form.elements.cluster.value = row.cluster;
    form.elements.from.value = parameters.span || "24h";
    form.requestSubmit();
    form.scrollIntoView({ block: "center" });
  };
  return [
    el("button", { type: "button", class: "plain", "aria-label": `Can ${named(row)} be trusted?`, on: { click: choose } }, named(row)),
    el("span", { class: "small soft" }, whole ? `${share(row.watched_ms, whole)}` : "–"),
    el("div", { class: "lane" }, svg("svg", { viewBox: `0 0 ${width} 20`, preserveAspectRatio: "none", role: "img", "aria-label": said },
      rects(row.lane.gone, "n", 0, 20), rects(row.lane.vouched, "v", 0, 20),
      rects(row.lane.missing, (cause) => (DOUBTS.has(cause) ? "d" : "m"), 0, 20))),
  ];
}
