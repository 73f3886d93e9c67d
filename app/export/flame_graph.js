"use strict";
// Draws the tree that the page carries in #data. Frames are numbers; a node has a parent, a frame, and events.
// Nothing is fetched, and text from the data reaches the page as text only.
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const count = (events) => events.toLocaleString("en");
const share = (part, whole) => part && whole ? `${(100 * part / whole).toFixed(part * 1000 < whole ? 3 : 1)} %` : "0 %";

// Frames: name, file, sureness, whether in the kernel, mangled name, build id, resolution
const NAME = 0, FILE = 1, SURENESS = 2, KERNEL = 3, MANGLED = 4, BUILD = 5, RESOLUTION = 6;
const SURE = 0, NAMED = 1, UNKNOWN = 2, NONE = 3;
const SAID = ["sure", "not confirmed", "unknown", ""];
const BINARY = "Binary";
const frames = data.frames;
const SMALL = frames.length;
frames.push(["(frames too narrow for this file)", "", NONE, 0, "", "", ""]);

// Nodes: number 0 is above all executed files
const parent = [-1], frameOf = [-1], own = [0], depth = [-1], inner = [[]];
const make = (above, frame, events) => {
  const node = parent.length;
  parent.push(above); frameOf.push(frame); own.push(events); depth.push(depth[above] + 1); inner.push([]);
  inner[above].push(node);
  return node;
};
{
  const path = [0];
  const made = [];
  for (let i = 0; i < data.depth.length; i++) {
    path.length = data.depth[i] + 1;
    const node = make(path[path.length - 1], data.frame[i], data.own[i]);
    made.push(node);
    path.push(node);
  }
  data.smallAt.forEach((at, i) => make(at < 0 ? 0 : made[at], SMALL, data.small[i]));
}
const total = own.slice();
const deepest = depth.slice();
{
  // a caller has a lower number than what it called
  for (let node = parent.length - 1; node > 0; node--) {
    total[parent[node]] += total[node];
    deepest[parent[node]] = Math.max(deepest[parent[node]], deepest[node]);
  }
}
const ALL = total[0];
const callers = (node) => {
  const found = [];
  for (let at = node; at > 0; at = parent[at]) found.push(at);
  return found.reverse();
};

// Drawing
const ROW = 21, GAP = 1, NARROWEST = 0.4, MAX_CANVAS = 16000, CALLERS_SHOWN = 6;
const canvas = $("graph");
const pen = canvas.getContext("2d");
let zoomed = 0, selected = 0, pointed = 0, query = "", isFound = null, placed = [], colours = null, ratio = 1, width = 0;

const readColours = () => {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  const hsl = (name) => value(name).split(/\s+/).map(parseFloat);
  colours = {
    user: hsl("--user"), kernel: hsl("--kernel"), root: hsl("--root"), unknown: value("--unknown"),
    stripe: value("--stripe"), ink: value("--frame-ink"), edge: value("--edge"), page: value("--page"),
    found: value("--found"), focus: value("--focus"),
  };
};
const spread = (text) => {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return ((hash >>> 8) % 1000) / 1000;
};
const fillOf = (frame) => {
  const [name, file, sureness, kernel, , , resolution] = frames[frame];
  if (sureness === UNKNOWN) return colours.unknown;
  if (sureness === NONE && resolution !== BINARY) return colours.page;
  const [hue, strong, light] = sureness === NONE ? colours.root : kernel ? colours.kernel : colours.user;
  const shade = sureness === NONE ? 0 : spread(file + name) * 8 - 4;
  return `hsl(${hue + shade} ${sureness === NAMED ? strong * 0.45 : strong}% ${light + shade}%)`;
};
const box = (on, frame, x, y, w, h) => {
  on.fillStyle = fillOf(frame);
  on.fillRect(x, y, w, h);
  const sureness = frames[frame][SURENESS];
  if (sureness === NONE && frames[frame][RESOLUTION] !== BINARY) {
    on.strokeStyle = colours.stripe;
    on.lineWidth = 1;
    on.strokeRect(x + 0.5, y + 0.5, Math.max(w - 1, 0), h - 1);
  }
  if ((sureness === NAMED || sureness === UNKNOWN) && w > 3) {
    on.save();
    on.beginPath();
    on.rect(x, y, w, h);
    on.clip();
    on.strokeStyle = colours.stripe;
    on.globalAlpha *= sureness === UNKNOWN ? 0.75 : 0.5;
    on.lineWidth = 1;
    on.beginPath();
    if (sureness === UNKNOWN) {
      const from = Math.max(x - h, -h), to = Math.min(x + w, width + h);
      for (let at = from - (from - x) % 7; at < to; at += 7) { on.moveTo(at, y + h); on.lineTo(at + h, y); }
    } else {
      on.setLineDash([4, 3]);
      on.lineWidth = 2;
      on.moveTo(x, y + h - 1); on.lineTo(x + w, y + h - 1);
    }
    on.stroke();
    on.restore();
  }
};
// a name that is cut keeps the mark that nothing confirms it
const cutText = (text, room, mark) => {
  if (pen.measureText(text).width <= room) return text;
  let low = 0, high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(text.slice(0, middle) + "…" + mark).width <= room) low = middle; else high = middle - 1;
  }
  return low > 1 ? text.slice(0, low) + "…" + mark : "";
};

const draw = () => {
  ratio = window.devicePixelRatio || 1;
  width = $("stage").clientWidth;
  const rows = deepest[zoomed] + 1;
  const height = Math.min(Math.max(rows * ROW + 2, ROW * 3), MAX_CANVAS / ratio);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = colours.page;
  pen.fillRect(0, 0, width, height);
  pen.font = '12.5px ui-monospace, "DejaVu Sans Mono", Consolas, monospace';
  pen.textBaseline = "middle";
  placed = [];
  callers(parent[zoomed]).forEach((node) => put(node, 0, width, true));
  const scale = width / (total[zoomed] || 1);
  const waiting = [[zoomed, 0]];
  const narrow = [];
  while (waiting.length) {
    const [node, x] = waiting.pop();
    const w = total[node] * scale;
    if (node !== 0) {
      if (w < NARROWEST) {
        narrow.push([x, depth[node] * ROW, Math.max(w, 0.25)]);
        continue;
      }
      put(node, x, w, false);
    }
    let at = x;
    for (const child of inner[node]) {
      waiting.push([child, at]);
      at += total[child] * scale;
    }
  }
  pen.globalAlpha = 1;
  pen.fillStyle = colours.stripe;
  for (const [x, y, w] of narrow) pen.fillRect(x, y, w, ROW - GAP);
  placed.forEach((row) => row && row.sort((one, other) => one[0] - other[0]));
  outline(pointed, colours.ink, 1);
  if (document.activeElement === canvas) outline(selected, colours.focus, 3);
};
const put = (node, x, w, isCaller) => {
  const frame = frameOf[node];
  const y = depth[node] * ROW, h = ROW - GAP;
  const room = w > 2 ? w - GAP : w;
  (placed[depth[node]] ||= []).push([x, x + w, node]);
  pen.globalAlpha = isFound && !isFound[frame] ? 0.28 : isCaller ? 0.55 : 1;
  box(pen, frame, x, y, room, h);
  if (isFound && isFound[frame]) {
    pen.fillStyle = colours.found;
    pen.fillRect(x, y + h - 3, room, 3);
  }
  if (room > 26) {
    const text = cutText(frames[frame][NAME], room - 8, frames[frame][SURENESS] === NAMED ? "?" : "");
    if (text) {
      if (frames[frame][SURENESS] === UNKNOWN) {
        pen.fillStyle = colours.unknown;
        pen.fillRect(x + 2, y + 2, Math.min(pen.measureText(text).width + 4, room - 4), h - 4);
      }
      if (isCaller && !isFound) pen.globalAlpha = 0.85;
      pen.fillStyle = colours.ink;
      pen.fillText(text, x + 4, y + h / 2 + 0.5);
    }
  }
};
const placeOf = (node) => {
  const row = placed[depth[node]];
  return row && row.find((place) => place[2] === node);
};
const outline = (node, colour, thickness) => {
  const place = node && placeOf(node);
  if (!place) return;
  pen.globalAlpha = 1;
  pen.strokeStyle = colour;
  pen.lineWidth = thickness;
  const inset = thickness / 2;
  const y = depth[node] * ROW;
  pen.strokeRect(place[0] + inset, y + inset, Math.max(place[1] - place[0] - GAP - thickness, 1), ROW - GAP - thickness);
};

// What is said about a frame
const meaning = (frame) => {
  const [, , sureness, kernel, , , resolution] = frames[frame];
  const where = kernel ? "kernel" : "user";
  switch (sureness) {
    case SURE: return `${where} frame, name is sure (${resolution})`;
    case NAMED: return `${where} frame, nothing confirms this name (${resolution})`;
    case UNKNOWN: return `${where} frame, function unknown (${resolution})`;
    default: return resolution === BINARY ? "executed file" : "no frame";
  }
};
const describe = (node) => {
  const frame = frames[frameOf[node]];
  $("name").textContent = frame[NAME];
  const parts = [
    `${count(total[node])} events, ${share(total[node], ALL)} of all`,
    zoomed > 0 ? `${share(total[node], total[zoomed])} of what is shown` : "",
    own[node] ? `${count(own[node])} ended here` : "",
    meaning(frameOf[node]),
    frame[FILE] && frame[FILE] !== frame[NAME] ? frame[FILE] : "",
    frame[BUILD] ? `build id ${frame[BUILD]}` : "",
    frame[MANGLED] && frame[MANGLED] !== frame[NAME].replace(/\?$/, "") ? frame[MANGLED] : "",
  ];
  $("more").textContent = parts.filter(Boolean).join(" · ");
};
const speak = (node) => {
  const frame = frames[frameOf[node]];
  $("spoken").textContent = `${frame[NAME]}, ${meaning(frameOf[node])}, ${count(total[node])} events, ` +
    `${share(total[node], ALL)}, level ${depth[node] + 1}, callees: ${inner[node].length}`;
};

// Moving
const element = (tag, text, ...more) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  made.append(...more);
  return made;
};
const zoom = (node) => {
  zoomed = node;
  pointed = 0;
  $("out").disabled = $("reset").disabled = node === 0;
  draw();
  $("stage").scrollTop = Math.max(0, (depth[node] - CALLERS_SHOWN) * ROW);
};
const select = (node) => {
  selected = node;
  draw();
  if (!placeOf(node)) zoom(Math.max(parent[node], 0));
  if (!placeOf(node)) zoom(node);
  const y = depth[node] * ROW, stage = $("stage");
  if (y < stage.scrollTop) stage.scrollTop = y;
  if (y + ROW > stage.scrollTop + stage.clientHeight) stage.scrollTop = y + ROW - stage.clientHeight;
  describe(node);
  speak(node);
};
const widest = (node) => inner[node].reduce((best, child) => (total[child] > total[best] ? child : best), inner[node][0]);
const beside = (node, step) => {
  const row = inner[parent[node]];
  const other = row[row.indexOf(node) + step];
  return other === undefined ? node : other;
};
const outwards = () => zoom(zoomed > 0 && parent[zoomed] > 0 ? parent[zoomed] : 0);
const keys = {
  ArrowDown: () => inner[selected].length && select(widest(selected)),
  ArrowUp: () => parent[selected] > 0 && select(parent[selected]),
  ArrowLeft: () => selected > 0 && select(beside(selected, -1)),
  ArrowRight: () => selected > 0 && select(beside(selected, 1)),
  Enter: () => selected > 0 && zoom(selected),
  " ": () => selected > 0 && zoom(selected),
  Escape: outwards,
  Backspace: outwards,
  Home: () => { zoom(0); select(widest(0)); },
  n: () => nextFind(1),
  p: () => nextFind(-1),
};
canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
  event.preventDefault();
  if (selected === 0 && inner[0].length) { select(widest(0)); if (event.key.startsWith("Arrow")) return; }
  keys[event.key]();
});
canvas.addEventListener("focus", () => { if (selected > 0) describe(selected); draw(); });
canvas.addEventListener("blur", draw);
const under = (event) => {
  const row = placed[Math.floor(event.offsetY / ROW)];
  const place = row && row.find((one) => one[0] <= event.offsetX && event.offsetX < one[1]);
  return place ? place[2] : 0;
};
canvas.addEventListener("pointermove", (event) => {
  const node = under(event);
  if (node === pointed) return;
  pointed = node;
  if (node) describe(node); else if (selected) describe(selected);
  draw();
});
canvas.addEventListener("pointerleave", () => { pointed = 0; draw(); });
canvas.addEventListener("click", (event) => {
  const node = under(event);
  if (!node) return;
  selected = node;
  zoom(node === zoomed ? Math.max(parent[node], 0) : node);
  describe(node);
});
$("out").addEventListener("click", outwards);
$("reset").addEventListener("click", () => zoom(0));
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== $("search")) { event.preventDefault(); $("search").focus(); }
});

// Search
const finds = () => {
  const found = [];
  const waiting = [...inner[0]].reverse();
  while (waiting.length) {
    const node = waiting.pop();
    if (isFound[frameOf[node]]) found.push(node);
    for (let i = inner[node].length - 1; i >= 0; i--) waiting.push(inner[node][i]);
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
const search = (text) => {
  query = text.trim().toLowerCase();
  isFound = query ? frames.map((frame) =>
    [frame[NAME], frame[FILE], frame[MANGLED], frame[BUILD]].some((part) => part.toLowerCase().includes(query))) : null;
  $("found").textContent = "";
  if (isFound) {
    let events = 0, places = 0;
    const waiting = [[0, false]];
    while (waiting.length) {
      const [node, within] = waiting.pop();
      const hit = node > 0 && isFound[frameOf[node]];
      if (hit) { places++; if (!within) events += total[node]; }
      for (const child of inner[node]) waiting.push([child, within || hit]);
    }
    $("found").textContent = `${count(places)} frames, in ${count(events)} events (${share(events, ALL)})`;
  }
  draw();
  table();
};
$("search").addEventListener("input", (event) => search(event.target.value));
$("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && isFound) { event.preventDefault(); canvas.focus(); nextFind(1); }
  if (event.key === "Escape") { event.target.value = ""; search(""); canvas.focus(); }
});

// Functions by events
const ROWS = 60;
const byFrame = (() => {
  const owned = new Array(frames.length).fill(0), under = new Array(frames.length).fill(0);
  const open = new Array(frames.length).fill(0);
  const waiting = [[0, false]];
  while (waiting.length) {
    const [node, leaving] = waiting.pop();
    const frame = frameOf[node];
    if (leaving) { open[frame]--; continue; }
    if (node > 0) {
      owned[frame] += own[node];
      if (!open[frame]) under[frame] += total[node]; // a function that calls itself counts once
      open[frame]++;
      waiting.push([node, true]);
    }
    for (const child of inner[node]) waiting.push([child, false]);
  }
  return frames.map((_, frame) => frame).filter((frame) => frames[frame][SURENESS] !== NONE)
    .map((frame) => ({ frame, own: owned[frame], total: under[frame] }))
    .sort((one, other) => other.own - one.own || other.total - one.total || one.frame - other.frame);
})();
const table = () => {
  const meant = byFrame.filter((row) => !isFound || isFound[row.frame]);
  $("table-note").textContent = meant.length > ROWS
    ? `The first ${ROWS} of ${count(meant.length)} by own events; the search narrows them.`
    : `${count(meant.length)} by own events.`;
  $("rows").replaceChildren(...meant.slice(0, ROWS).map((row) => {
    const frame = frames[row.frame];
    const button = element("button", frame[NAME]);
    button.type = "button";
    button.addEventListener("click", () => { $("search").value = frame[NAME]; search(frame[NAME]); window.scrollTo(0, 0); });
    return element("tr", undefined, element("td", count(row.own)), element("td", count(row.total)),
      element("td", SAID[frame[SURENESS]]), element("td", undefined, button),
      element("td", frame[BUILD] ? `${frame[FILE]} (build id ${frame[BUILD].slice(0, 8)}…)` : frame[FILE]));
  }));
};

// Legend, with the share of each kind among all frames of all events
const legend = () => {
  const kinds = [
    ["user function, name is sure", SURE, 0], ["kernel function, name is sure", SURE, 1],
    ["name that nothing confirms (ends with ?)", NAMED, 0], ["function unknown (file and offset)", UNKNOWN, 0],
    ["executed file", NONE, 0],
  ];
  const weight = new Map();
  let all = 0;
  for (let node = 1; node < parent.length; node++) {
    const frame = frames[frameOf[node]];
    if (frame[SURENESS] === NONE) continue;
    const key = frame[SURENESS] === SURE ? `${SURE}${frame[KERNEL]}` : `${frame[SURENESS]}0`;
    weight.set(key, (weight.get(key) || 0) + total[node]);
    all += total[node];
  }
  $("legend").replaceChildren(...kinds.map(([text, sureness, kernel]) => {
    const swatch = document.createElement("canvas");
    swatch.width = 68; swatch.height = 36;
    swatch.setAttribute("aria-hidden", "true");
    const on = swatch.getContext("2d");
    on.scale(2, 2);
    frames.push(["", "", sureness, kernel, "", "", sureness === NONE ? BINARY : ""]);
    box(on, frames.length - 1, 0, 0, 34, 18);
    frames.pop();
    const part = sureness === NONE ? "" : `: ${share(weight.get(`${sureness}${kernel}`) || 0, all)} of frames`;
    return element("li", undefined, swatch, text + part);
  }));
};

$("facts").replaceChildren(...data.facts.map(([text, isWarning]) => {
  const item = element("li", text);
  if (isWarning) item.className = "warning";
  return item;
}));
const redraw = () => { readColours(); legend(); draw(); };
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new ResizeObserver(draw).observe($("stage"));
redraw();
zoom(0);
table();
document.documentElement.dataset.ready = "yes";
})();
