// Draws call stacks. Frames are numbers; a node has a parent, a frame, and events. Nothing is fetched, and text from the
// data reaches the page as text only.
root.classList.add("flame");
root.replaceChildren(...skeleton());
const $ = (id) => root.querySelector(`#flame-${id}`);
const counting = new Intl.NumberFormat("en");
const count = (events) => counting.format(events);
const many = (number, what) => `${count(number)} ${what}${number === 1 ? "" : "s"}`;
const share = (part, whole) => part && whole ? `${(100 * part / whole).toFixed(part * 1000 < whole ? 3 : 1)} %` : "0 %";

// Frames: name, file, sureness, whether in the kernel, mangled name, build id, resolution, and in the console the symbol id
const NAME = 0, FILE = 1, SURENESS = 2, KERNEL = 3, MANGLED = 4, BUILD = 5, RESOLUTION = 6, SYMBOL = 7;
const SURE = 0, NAMED = 1, UNKNOWN = 2, NONE = 3;
const SAID = ["sure", "not confirmed", "unknown", ""];
const BINARY = "Binary";
const frames = [...data.frames];
const marked = (text, kind) => frames.push([text, "", NONE, 0, "", "", kind]) - 1;
const SMALL = marked("(frames too narrow to be kept)", "");
const REST = marked("(more paths than this page shows)", "");

// What stacks can be grouped by; a place is namespace, pod and image, and the frame of each group is above its stacks
const GROUPS = ["namespace", "pod", "image"];
const GROUP = "Group";
const framesOfPlaces = Object.fromEntries(GROUPS.map((kind, part) => {
  const groups = new Map();
  return [kind, data.places.map((place) => {
    const text = place[part] || `(no ${kind})`;
    if (!groups.has(text)) groups.set(text, marked(text, GROUP));
    return groups.get(text);
  })];
}));
let isMangled = false;
const nameOf = (frame) => (isMangled && frames[frame][MANGLED]) || frames[frame][NAME];

const hashOf = (text) => {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return hash >>> 0;
};
const identityOf = (frame) =>
  [frame[SURENESS] === NONE && frame[RESOLUTION], frame[KERNEL], frame[BUILD], frame[FILE], frame[MANGLED] || frame[NAME]].join("\n");
// One function may be in several frames, whose names are not equally sure; `same` has the surest of them for each
const functions = new Map();
const kindsOf = frames.map((frame, number) => {
  const key = identityOf(frame);
  let kinds = functions.get(key);
  if (!kinds) functions.set(key, kinds = { best: number, sureness: 0 });
  kinds.sureness |= 1 << frame[SURENESS];
  if (frame[SURENESS] < frames[kinds.best][SURENESS]) kinds.best = number;
  return kinds;
});
const same = Int32Array.from(kindsOf, (kinds) => kinds.best);
const saidOf = (frame) => SAID.filter((said, sureness) => said && kindsOf[frame].sureness & (1 << sureness)).join(", in part ");

const read = [treeOf(data, SMALL), ...(data.base ? [treeOf(data.base, SMALL)] : [])];
let group = "none";
let [now, before = null] = read;
let whole = now, ALL = whole.total[0], was = null;
// How far the share of a frame is above that in the base window, from -1 to 1, whichever gives the widths
const change = (events, other) => (whole === now ? 1 : -1) * (events / ALL - (other || 0) / (was[0] || 1));
const points = (by) => `${by > 0 ? "+" : by < 0 ? "−" : "±"}${(100 * Math.abs(by)).toFixed(2)} points`;
let tree, parent, frameOf, own, depth, inner, total, deepest, row;
const use = (made) => { tree = made; ({ parent, own, depth, inner, total, deepest, row } = made); frameOf = made.frame; };
use(whole);
const callers = (node) => {
  const found = [];
  for (let at = node; at > 0; at = parent[at]) found.push(at);
  return found.reverse();
};
const calledBy = (node) => (tree.outer.length && node === 1 ? tree.outer : []);
const childrenOf = (node) => (tree.outer.length && node === 1 ? [...inner[1], ...tree.outer] : inner[node]);

// Drawing
const ROW = 21, GAP = 1, NARROWEST = 0.4, MAX_CANVAS = 16000, CALLERS_SHOWN = 6;
const canvas = $("graph");
const pen = canvas.getContext("2d");
let zoomed = 0, selected = 0, pointed = 0, query = "", isFound = null, holds = null, view = "calls", middle = -1, isOnly = false, placed = [], colours = null, ratio = 1, width = 0;

const readColours = () => {
  const style = getComputedStyle(root);
  const value = (name) => style.getPropertyValue(name).trim();
  const hsl = (name) => value(name).split(/\s+/).map(parseFloat);
  colours = {
    user: hsl("--user"), kernel: hsl("--kernel"), root: hsl("--root"), group: hsl("--group"), unknown: value("--unknown"),
    stripe: value("--stripe"), ink: value("--frame-ink"), edge: value("--edge"), page: value("--page"),
    found: value("--found"), focus: value("--focus"), other: value("--panel"), otherInk: value("--soft"), line: value("--line"),
  };
};
const spread = (text) => ((hashOf(text) >>> 8) % 1000) / 1000;
const isMark = (frame) => frame[SURENESS] === NONE && frame[RESOLUTION] !== BINARY && frame[RESOLUTION] !== GROUP;
const LEAST_CHANGE = 0.0005;
const fillOf = (frame, by) => {
  if (by !== undefined) {
    if (Math.abs(by) < LEAST_CHANGE) return colours.unknown;
    const [, , light] = by > 0 ? colours.user : colours.kernel;
    return `hsl(${by > 0 ? 8 : 212} ${Math.min(85, 25 + Math.abs(by) * 240)}% ${light + 6}%)`;
  }
  const [name, file, sureness, kernel, , , resolution] = frames[frame];
  if (sureness === UNKNOWN) return colours.unknown;
  if (isMark(frames[frame])) return colours.page;
  const [hue, strong, light] = resolution === GROUP ? colours.group : sureness === NONE ? colours.root : kernel ? colours.kernel : colours.user;
  const shade = sureness === NONE ? 0 : spread(file + name) * 8 - 4;
  return `hsl(${hue + shade} ${sureness === NAMED ? strong * 0.45 : strong}% ${light + shade}%)`;
};
const box = (on, frame, x, y, w, h) => {
  on.fillStyle = fillOf(frame);
  on.fillRect(x, y, w, h);
  const sureness = frames[frame][SURENESS];
  if (isMark(frames[frame])) {
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
  const rows = tree.middle ? Math.max(tree.middle, deepest[0] + tree.middle) + 1 : deepest[zoomed] + 1;
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
  const narrow = [], marks = new Set();
  while (waiting.length) {
    const [node, x] = waiting.pop();
    const w = total[node] * scale;
    if (node !== 0) {
      if (w < NARROWEST) {
        narrow.push([x, row[node] * ROW, Math.max(w, 0.25)]);
        if (!holds || !holds[node]) continue;
        if (isFound[frameOf[node]]) marks.add(row[node] * width + Math.min(Math.floor(x), width - 2));
      } else put(node, x, w, false);
    }
    for (const nodes of [inner[node], calledBy(node)]) {
      let at = x;
      for (const child of nodes) {
        waiting.push([child, at]);
        at += total[child] * scale;
      }
    }
  }
  pen.fillStyle = colours.stripe;
  for (const [x, y, w] of narrow) pen.fillRect(x, y, w, ROW - GAP);
  pen.fillStyle = colours.found;
  for (const mark of marks) pen.fillRect(mark % width, Math.floor(mark / width) * ROW, 2, ROW - GAP);
  canvas.dataset.marks = marks.size;
  placed.forEach((places) => places && places.sort((one, other) => one[0] - other[0]));
  outline(pointed, colours.ink, 1);
  if (document.activeElement === canvas) outline(selected, colours.focus, 3);
};
// More than in the base window is red with a bar above, less is blue with a bar below: not by colour alone
const changed = (node, x, y, w, h) => {
  const by = change(total[node], was[node]);
  pen.fillStyle = fillOf(frameOf[node], by);
  pen.fillRect(x, y, w, h);
  pen.fillStyle = colours.ink;
  if (Math.abs(by) >= LEAST_CHANGE) pen.fillRect(x, by > 0 ? y : y + h - 2, w, 2);
};
const put = (node, x, w, isCaller) => {
  const frame = frameOf[node];
  const y = row[node] * ROW, h = ROW - GAP;
  const room = w > 2 ? w - GAP : w;
  (placed[row[node]] ||= []).push([x, x + w, node]);
  const isOther = isFound && !isFound[frame];
  if (isOther) {
    pen.fillStyle = colours.other;
    pen.fillRect(x, y, room, h);
    if (room > 3) { pen.strokeStyle = colours.line; pen.lineWidth = 1; pen.strokeRect(x + 0.5, y + 0.5, room - 1, h - 1); }
  } else {
    pen.globalAlpha = isCaller ? 0.55 : 1;
    box(pen, frame, x, y, room, h);
    pen.globalAlpha = 1;
    if (was) changed(node, x, y, room, h);
  }
  if (isFound && !isOther) {
    pen.fillStyle = colours.found;
    pen.fillRect(x, y + h - 3, Math.max(room, 2), 3);
  }
  if (room > 26) {
    const text = cutText(nameOf(frame), room - 8, frames[frame][SURENESS] === NAMED ? "?" : "");
    if (text) {
      if (frames[frame][SURENESS] === UNKNOWN && !isOther) {
        pen.fillStyle = colours.unknown;
        pen.fillRect(x + 2, y + 2, Math.min(pen.measureText(text).width + 4, room - 4), h - 4);
      }
      pen.fillStyle = isOther ? colours.otherInk : colours.ink;
      pen.fillText(text, x + 4, y + h / 2 + 0.5);
    }
  }
};
const placeOf = (node) => {
  const places = placed[row[node]];
  return places && places.find((place) => place[2] === node);
};
const outline = (node, colour, thickness) => {
  const place = node && placeOf(node);
  if (!place) return;
  pen.globalAlpha = 1;
  pen.strokeStyle = colour;
  pen.lineWidth = thickness;
  const inset = thickness / 2;
  const y = row[node] * ROW;
  pen.strokeRect(place[0] + inset, y + inset, Math.max(place[1] - place[0] - GAP - thickness, 1), ROW - GAP - thickness);
};
