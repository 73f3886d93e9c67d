// Search
const finds = () => {
  const found = [];
  const waiting = [...inner[0]].reverse();
  while (waiting.length) {
    const node = waiting.pop();
    if (isFound[frameOf[node]]) found.push(node);
    waiting.push(...childrenOf(node).toReversed());
  }
  return found;
};
const nextFind = (step) => {
  if (!isFound) return;
  const found = finds();
  if (!found.length) return;
  const at = found.indexOf(selected);
  const next = at < 0 ? (step > 0 ? 0 : found.length - 1) : (at + step + found.length) % found.length;
  select(found[next]);
};
const foundBy = (text) => (text ? frames.map((frame) =>
  [frame[NAME], frame[FILE], frame[MANGLED], frame[BUILD]].some((part) => part.toLowerCase().includes(text))) : null);
const search = (text) => {
  query = text.trim().toLowerCase();
  isFound = foundBy(query);
  if (isOnly) return show(view, middle, Boolean(isFound));
  shade();
  note();
  draw();
  table();
};
const shade = () => {
  $("found").textContent = "";
  $("only").disabled = !isFound;
  holds = null;
  if (!isFound) return;
  let events = 0, places = 0;
  holds = new Uint8Array(parent.length);
  const within = new Uint8Array(parent.length);
  for (let node = 1; node < parent.length; node++) {
    const hit = isFound[frameOf[node]];
    if (hit) { places++; holds[node] = 1; if (!within[parent[node]]) events += total[node]; }
    within[node] = hit || within[parent[node]] ? 1 : 0;
  }
  for (let node = parent.length - 1; node > 0; node--) if (holds[node]) holds[parent[node]] = 1;
  if (tree.outer.length) events = total[0];
  $("found").textContent = `${many(places, "frame")}, in ${many(events, "event")} (${share(events, ALL)})`;
};

// What is shown: trees by what stacks are grouped by, made once each
const trees = new Map([["none", read]]);
let isBase = false;
const groupBy = (wanted) => {
  group = framesOfPlaces[wanted] ? wanted : "none";
  if (!trees.has(group)) trees.set(group, read.map((one) => groupedBy(one, framesOfPlaces[group], REST)));
  [now, before = null] = trees.get(group);
};

// Views: as called, turned round, both ways from one function; of all stacks, or of those with a find
const show = (wanted, frame = -1, only = isOnly) => {
  isOnly = Boolean(only && isFound);
  view = wanted === "both" && frame < 0 ? "calls" : wanted;
  middle = view === "both" ? frame : -1;
  whole = isBase ? before : now;
  const seen = (all) => {
    const from = isOnly ? onlyFound(all, isFound) : all;
    return view === "callers" ? turnedRound(from, same, REST) : view === "both" ? bothWays(from, middle, same, REST) : from;
  };
  ALL = whole.total[0];
  use(seen(whole));
  if (before) {
    const other = isBase ? now : before;
    was = matched(tree, seen(other));
    was[0] = other.total[0];
  }
  selected = pointed = 0;
  $("view").value = view;
  $("group").value = group;
  $("windows").setAttribute("aria-pressed", isBase);
  $("view-both").textContent = middle < 0 ? "Callers and callees of the chosen frame" : `Callers and callees of ${nameOf(middle).slice(0, 120)}`;
  $("only").setAttribute("aria-pressed", isOnly);
  byFrame = null;
  shade();
  legend();
  table();
  zoom(0);
  $("spoken").textContent = $("view").selectedOptions[0].textContent;
  if (tree.outer.length) $("stage").scrollTop = Math.max(0, (tree.middle - CALLERS_SHOWN) * ROW);
};
$("view").addEventListener("change", (event) => {
  const chosen = selected > 0 ? same[frameOf[selected]] : middle;
  if (event.target.value === "both" && chosen < 0) $("more").textContent = "Choose a frame in the picture first, or a function in the table.";
  show(event.target.value, chosen);
});
$("only").addEventListener("click", () => show(view, middle, !isOnly));
$("group").addEventListener("change", (event) => {
  groupBy(event.target.value);
  show(view, middle);
});
$("windows").hidden = $("difference").hidden = !before;
$("windows").addEventListener("click", () => {
  isBase = !isBase;
  show(view, middle);
});
$("mangled").addEventListener("click", () => {
  isMangled = !isMangled;
  $("mangled").setAttribute("aria-pressed", isMangled);
  if (selected) describe(selected);
  draw();
  table();
});

// The address of what is shown. A frame is named by what it is, so a link holds for other calls too, if they have it.
const wordOf = frames.map((frame) => hashOf(identityOf(frame)).toString(36));
const pathOf = (node) => callers(node).map((one) => wordOf[frameOf[one]]).join(".");
const nodeAt = (path) => {
  let node = 0;
  for (const word of path ? path.split(".") : []) {
    const next = childrenOf(node).find((child) => wordOf[frameOf[child]] === word);
    if (next === undefined) return node;
    node = next;
  }
  return node;
};
let isOpening = true;
const note = () => {
  if (isOpening) return;
  const said = {
    view: (view !== "calls" || context.about) && view, of: middle >= 0 && wordOf[middle], group: group !== "none" && group, find: query, only: isOnly && "1", widths: isBase && "base",
    zoom: zoomed > 0 && pathOf(zoomed), at: selected > 0 && pathOf(selected),
  };
  context.place.write(Object.fromEntries(Object.entries(said).map(([name, value]) => [name, value || ""])));
};
const open = () => {
  const said = context.place.read();
  const about = said.of || (said.view && said.view !== "both") ? -1 : frames.findIndex((frame) => frame[SYMBOL] && frame[SYMBOL] === context.about);
  const of = said.of ? wordOf.indexOf(said.of) : about;
  isOpening = true;
  isOnly = false;
  isBase = Boolean(read[1]) && said.widths === "base";
  groupBy(said.group);
  $("search").value = said.find || "";
  query = $("search").value.trim().toLowerCase();
  isFound = foundBy(query);
  show(["calls", "callers", "both"].includes(said.view) ? said.view : about < 0 ? "calls" : "both", of < 0 ? -1 : same[of], said.only === "1");
  zoom(nodeAt(said.zoom));
  const at = nodeAt(said.at);
  if (at > 0) select(at);
  isOpening = false;
};
$("search").addEventListener("input", (event) => search(event.target.value));
$("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && isFound) { event.preventDefault(); canvas.focus(); nextFind(1); }
  if (event.key === "Escape") { event.target.value = ""; search(""); canvas.focus(); }
});

// Functions by events
const ROWS = 60;
let byFrame = null, shownRows = ROWS;
$("longer").addEventListener("click", () => { shownRows += 10 * ROWS; table(); });
// With another window: functions of both, those that differ most first
const compared = (rowsOf) => {
  const rows = rowsOf(whole);
  if (!before) return rows;
  const others = new Map(rowsOf(isBase ? now : before).map((one) => [one.frame, one.total]));
  for (const one of rows) { one.by = change(one.total, others.get(one.frame)); others.delete(one.frame); }
  for (const [frame, events] of others) rows.push({ frame, own: 0, total: 0, by: change(0, events) });
  return rows.sort((one, other) => Math.abs(other.by) - Math.abs(one.by) || one.frame - other.frame);
};
const order = before ? "by difference" : "by own events";
const table = () => {
  byFrame ||= compared((all) => functionsOf(isOnly ? onlyFound(all, isFound) : all, same).filter((one) => frames[one.frame][SURENESS] !== NONE));
  const meant = byFrame.filter((one) => !isFound || isFound[one.frame]);
  $("longer").hidden = meant.length <= shownRows;
  $("table-note").textContent = meant.length > shownRows
    ? `The first ${count(shownRows)} of ${count(meant.length)} ${order}; the search narrows them.`
    : `${count(meant.length)} ${order}.`;
  $("rows").replaceChildren(...meant.slice(0, shownRows).map((one) => {
    const frame = frames[one.frame];
    const name = element("button", {}, nameOf(one.frame));
    name.title = "Search for it";
    name.addEventListener("click", () => { $("search").value = frame[NAME]; search(frame[NAME]); root.scrollIntoView(); });
    const reach = element("button", {}, "callers");
    reach.setAttribute("aria-label", `Callers and callees of ${nameOf(one.frame)}`);
    reach.className = "reach";
    reach.addEventListener("click", () => { show("both", one.frame); root.scrollIntoView(); canvas.focus(); });
    name.type = reach.type = "button";
    const numbers = [count(one.own), count(one.total), ...(before ? [points(one.by)] : [])];
    return element("tr", {}, element("td", { class: "function" }, name, " ", reach),
      ...numbers.map((text) => element("td", { class: "number" }, text)), element("td", { class: "said" }, saidOf(one.frame)),
      element("td", { class: "file" }, frame[BUILD] ? `${frame[FILE]} (build id ${frame[BUILD].slice(0, 8)}…)` : frame[FILE]));
  }));
};

// Legend, with the share of each kind among all frames of all events
const legend = () => {
  const kinds = [
    ["user function, name is sure", SURE, 0], ["kernel function, name is sure", SURE, 1],
    ["name that nothing confirms (ends with ?)", NAMED, 0], ["function unknown (file and offset)", UNKNOWN, 0],
    ["executed file", NONE, 0, BINARY], ...(group === "none" ? [] : [[group, NONE, 0, GROUP]]),
  ];
  const weight = new Map();
  let all = 0;
  for (let node = 1; node < whole.parent.length; node++) {
    const frame = frames[whole.frame[node]];
    if (frame[SURENESS] === NONE) continue;
    const key = frame[SURENESS] === SURE ? `${SURE}${frame[KERNEL]}` : `${frame[SURENESS]}0`;
    weight.set(key, (weight.get(key) || 0) + whole.total[node]);
    all += whole.total[node];
  }
  $("legend").replaceChildren(...kinds.map(([text, sureness, kernel, resolution = ""]) => {
    const swatch = document.createElement("canvas");
    swatch.width = 68; swatch.height = 36;
    swatch.setAttribute("aria-hidden", "true");
    const on = swatch.getContext("2d");
    on.scale(2, 2);
    frames.push(["", "", sureness, kernel, "", "", resolution]);
    box(on, frames.length - 1, 0, 0, 34, 18);
    frames.pop();
    const part = sureness === NONE ? "" : `: ${share(weight.get(`${sureness}${kernel}`) || 0, all)} of frames`;
    return element("li", {}, swatch, text + part);
  }));
  if (before) $("legend").append(element("li", {}, "In the picture: red with a bar above is a larger share than in the base window, blue with a bar below a smaller one, grey the same."));
};

$("facts").replaceChildren(...data.facts.map(([text, isWarning]) => {
  const item = element("li", {}, text);
  if (isWarning) item.className = "warning";
  return item;
}));
const redraw = () => { readColours(); legend(); draw(); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw, { signal: context.signal });
new ResizeObserver(draw).observe($("stage"));
redraw();
open();
root.dataset.ready = "yes";
return { open };
