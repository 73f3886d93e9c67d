// The flame graph of the console: the script of the exported file, with the view's address and a way to each function.

import { flameGraph } from "./flame_graph.js";

let shown = new AbortController();

export function draw(root, graph, parameters, context, about) {
  shown.abort(); // the graph before listens no longer
  shown = new AbortController();
  context.signal.addEventListener("abort", () => shown.abort(), { once: true });
  flameGraph(root, graph, {
    about,
    signal: shown.signal,
    open: (symbolId) => { location.hash = `#/symbol?id=${encodeURIComponent(symbolId)}`; },
    place: {
      read: () => ({ ...parameters }),
      write: (said) => context.remember(Object.assign(parameters, said)),
    },
  });
}
