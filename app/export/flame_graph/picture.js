// What is drawn, as a file: SVG with names as text, or PNG
const saved = (blob, end) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `flame-graph.${end}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
const asSvg = () => {
  const space = "http://www.w3.org/2000/svg", picture = document.createElementNS(space, "svg");
  const add = (to, tag, properties, text) => {
    const made = document.createElementNS(space, tag);
    for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    to.append(made);
    return made;
  };
  const height = parseFloat(canvas.style.height);
  for (const [name, value] of [["width", width], ["height", height], ["viewBox", `0 0 ${width} ${height}`]]) picture.setAttribute(name, value);
  add(picture, "title", {}, document.title);
  add(picture, "rect", { width, height, fill: colours.page });
  const group = add(picture, "g", { "font-family": "monospace", "font-size": "12.5" });
  placed.flat().forEach(([from, to, node]) => {
    const frame = frameOf[node], room = Math.max(to - from - GAP, 0.25), y = row[node] * ROW;
    const isOther = isFound && !isFound[frame];
    const one = add(group, "g", {});
    add(one, "title", {}, `${nameOf(frame)}: ${count(total[node])} events, ${share(total[node], ALL)}; ${meaning(frame)}`);
    add(one, "rect", { x: from.toFixed(2), y, width: room.toFixed(2), height: ROW - GAP, fill: isOther ? colours.other : fillOf(frame, was ? change(total[node], was[node]) : undefined) });
    if (isFound && !isOther) add(one, "rect", { x: from.toFixed(2), y: y + ROW - GAP - 3, width: Math.max(room, 2).toFixed(2), height: 3, fill: colours.found });
    const text = room > 26 ? cutText(nameOf(frame), room - 8, frames[frame][SURENESS] === NAMED ? "?" : "") : "";
    if (text) add(one, "text", { x: (from + 4).toFixed(2), y: y + 14.5, fill: isOther ? colours.otherInk : colours.ink }, text);
  });
  return new XMLSerializer().serializeToString(picture);
};
$("svg").addEventListener("click", () => saved(new Blob([asSvg()], { type: "image/svg+xml" }), "svg"));
$("png").addEventListener("click", () => canvas.toBlob((blob) => saved(blob, "png"), "image/png"));
