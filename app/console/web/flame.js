// Who calls whom, by weight.
//
//   draw(root, tree, { title, unit, isReversed, open })
//
// `tree` is {name, id, value, children}: `name` is shown, `id` is the symbol id, `value` counts what passed here, in
// `unit`, and `children` are trees of the same form, the heaviest first. With `isReversed`, children are callers. `open`
// is called with the id of the function that somebody chose. Drawn as a list that opens, so keyboard and screen reader work.

import { el, fill, number, share } from "./dom.js";

const OPEN_DEPTH = 4;

export function draw(root, tree, { title, unit, open }) {
  const item = (node, depth) => {
    const line = [el("button", { type: "button", class: "plain name", on: { click: () => open(node.id) } }, node.name), el("span", { class: "soft small" }, ` ${number(node.value)} ${unit}, ${share(node.value, tree.value)}`)];
    if (!node.children.length) return el("li", {}, line);
    const below = el("ul", {});
    const details = el("details", { open: depth < OPEN_DEPTH }, el("summary", {}, line), below);
    const fillBelow = () => {
      if (!below.firstChild) fill(below, node.children.map((child) => item(child, depth + 1)));
    };
    if (depth < OPEN_DEPTH) fillBelow();
    else details.addEventListener("toggle", fillBelow, { once: true });
    return el("li", {}, details);
  };
  fill(root, el("ul", { class: "tree", "aria-label": title }, item(tree, 0)));
}
