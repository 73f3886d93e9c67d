// What is said about a frame
const meaning = (frame) => {
  const [, , sureness, kernel, , , resolution] = frames[frame];
  const where = kernel ? "kernel" : "user";
  switch (sureness) {
    case SURE: return `${where} frame, name is sure (${resolution})`;
    case NAMED: return `${where} frame, nothing confirms this name (${resolution})`;
    case UNKNOWN: return `${where} frame, function unknown (${resolution})`;
    default: return { [BINARY]: "executed file", [GROUP]: group }[resolution] || "no frame";
  }
};
const describe = (node) => {
  const frame = frames[frameOf[node]];
  $("name").textContent = nameOf(frameOf[node]);
  const parts = [
    `${count(total[node])} events, ${share(total[node], ALL)} of all`,
    zoomed > 0 ? `${share(total[node], total[zoomed])} of what is shown` : "",
    was ? `${count(was[node])} events in the other window, ${points(change(total[node], was[node]))}` : "",
    own[node] ? `${count(own[node])} ended here` : "",
    meaning(frameOf[node]),
    frame[FILE] && frame[FILE] !== frame[NAME] ? frame[FILE] : "",
    frame[BUILD] ? `build id ${frame[BUILD]}` : "",
    frame[MANGLED] && frame[MANGLED] !== frame[NAME].replace(/\?$/, "") ? (isMangled ? frame[NAME] : frame[MANGLED]) : "",
  ];
  $("more").textContent = parts.filter(Boolean).join(" · ");
  $("open").hidden = !(context.open && frame[SYMBOL]);
};
const speak = (node) => {
  const frame = frames[frameOf[node]];
  $("spoken").textContent = `${nameOf(frameOf[node])}, ${meaning(frameOf[node])}, ${count(total[node])} events, ` +
    `${share(total[node], ALL)}${was ? `, ${points(change(total[node], was[node]))}` : ""}, level ${depth[node] + 1}, ${tree.side[node] < 0 || view === "callers" ? "callers" : "callees"}: ${inner[node].length}`;
};

// Moving
const zoom = (node) => {
  zoomed = node;
  pointed = 0;
  $("out").disabled = $("reset").disabled = node === 0;
  draw();
  $("stage").scrollTop = Math.max(0, (row[node] - CALLERS_SHOWN) * ROW);
  note();
};
const select = (node) => {
  selected = node;
  draw();
  if (!placeOf(node)) zoom(Math.max(parent[node], 0));
  if (!placeOf(node)) zoom(node);
  const y = row[node] * ROW, stage = $("stage");
  if (y < stage.scrollTop) stage.scrollTop = y;
  if (y + ROW > stage.scrollTop + stage.clientHeight) stage.scrollTop = y + ROW - stage.clientHeight;
  describe(node);
  speak(node);
  note();
};
const widest = (node) => inner[node].reduce((best, child) => (total[child] > total[best] ? child : best), inner[node][0]);
const beside = (node, step) => {
  const nodes = tree.side[node] < 0 && parent[node] === 1 ? tree.outer : inner[parent[node]];
  const other = nodes[nodes.indexOf(node) + step];
  return other === undefined ? node : other;
};
const deeper = (node) => inner[node].length && select(widest(node));
const outer = (node) => parent[node] > 0 && select(parent[node]);
const outwards = () => zoom(zoomed > 0 && parent[zoomed] > 0 ? parent[zoomed] : 0);
const keys = {
  ArrowDown: () => (tree.side[selected] < 0 ? outer(selected) : deeper(selected)),
  ArrowUp: () => (tree.side[selected] < 0 ? deeper(selected) : calledBy(selected).length ? select(tree.outer[0]) : outer(selected)),
  ArrowLeft: () => selected > 0 && select(beside(selected, -1)),
  ArrowRight: () => selected > 0 && select(beside(selected, 1)),
  Enter: () => selected > 0 && zoom(selected),
  " ": () => selected > 0 && zoom(selected),
  Escape: outwards,
  Backspace: outwards,
  Home: () => { zoom(0); select(widest(0)); },
  n: () => nextFind(1),
  p: () => nextFind(-1),
  r: () => show(view === "callers" ? "calls" : "callers"),
  s: () => selected > 0 && show("both", same[frameOf[selected]]),
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
  const places = placed[Math.floor(event.offsetY / ROW)];
  const place = places && places.find((one) => one[0] <= event.offsetX && event.offsetX < one[1]);
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
$("open").addEventListener("click", () => context.open(frames[frameOf[pointed || selected]][SYMBOL]));
$("out").addEventListener("click", outwards);
$("reset").addEventListener("click", () => zoom(0));
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) { event.preventDefault(); $("search").focus(); }
}, { signal: context.signal });
