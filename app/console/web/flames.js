// The flame graph of the console: the script of the exported file, with the view's address and a way to each function.

import { flameGraph } from "./flame_graph.js";

export function draw(root, graph, parameters, context, about) {
  flameGraph(root, graph, {
    about,
    signal: context.signal,
    open: (symbolId) => { location.hash = `#/symbol?id=${encodeURIComponent(symbolId)}`; },
    place: {
      read: () => ({ ...parameters }),
      write: (said) => context.remember(Object.assign(parameters, said)),
    },
  });
}
