// Trees of call stacks, and what is made of them: turned round, both ways from one function, only what was found.
// Node 0 is above everything. A node has a frame, events that ended in it (`own`), all its events (`total`), and the
// row that it is drawn in. Callers of the function in the middle of `bothWays` are in `outer`, and drawn upwards.

const MOST_NODES = 400000;

const emptyTree = () => ({
  parent: [-1], frame: [-1], own: [0], total: [0], depth: [-1], inner: [[]], places: [null], side: [1], deepest: [-1], outer: [], middle: 0,
});
const grow = (tree, above, frame, side) => {
  const node = tree.parent.length;
  tree.parent.push(above); tree.frame.push(frame); tree.own.push(0); tree.total.push(0);
  tree.depth.push(tree.depth[above] + 1); tree.inner.push([]); tree.places.push(null); tree.side.push(side || 1); tree.deepest.push(0);
  return node;
};
// the node of a frame below another one, new if there is none yet; a full tree takes the rest of a path as one mark
const below = (tree, above, frame, rest, side) => {
  const places = tree.places[above] ||= new Map();
  let node = places.get(frame);
  if (node !== undefined) return node;
  const isFull = tree.parent.length >= MOST_NODES;
  if (isFull) frame = rest;
  node = places.get(frame);
  if (node !== undefined) return node;
  node = grow(tree, above, frame, side);
  places.set(frame, node);
  if (side === -1 && above === 1) tree.outer.push(node); else tree.inner[above].push(node);
  return node;
};
// a caller has a lower number than what it called, so one way back is enough
const finished = (tree, isCounted) => {
  const { parent, own, total, depth, deepest, side } = tree;
  for (let node = 0; node < parent.length; node++) { deepest[node] = depth[node]; if (!isCounted) total[node] = own[node]; }
  for (let node = parent.length - 1; node > 0; node--) {
    if (!isCounted) total[parent[node]] += total[node];
    if (side[node] === 1) deepest[parent[node]] = Math.max(deepest[parent[node]], deepest[node]);
    else tree.middle = Math.max(tree.middle, depth[node]);
  }
  tree.places = null;
  tree.row = depth.map((one, node) => tree.middle + side[node] * one);
  return tree;
};
const widestFirst = (tree) => {
  const order = (one, other) => tree.total[other] - tree.total[one] || tree.frame[one] - tree.frame[other];
  tree.inner.forEach((nodes) => nodes.sort(order));
  tree.outer.sort(order);
  return tree;
};

// The tree of the data. `small` are events of frames that are not in it, at the nodes of `smallAt`. Events by place are
// `whereEvents`: at the nodes `whereAt`, which count on through the small ones, in the places `where`.
const treeOf = ({ depth, frame, own, smallAt, small, whereAt, where, whereEvents }, mark) => {
  const tree = emptyTree(), path = [0], made = [];
  const make = (above, number, events) => {
    const node = grow(tree, above, number);
    tree.inner[above].push(node);
    tree.own[node] = events;
    return node;
  };
  for (let i = 0; i < depth.length; i++) {
    path.length = depth[i] + 1;
    const node = make(path[path.length - 1], frame[i], own[i]);
    made.push(node);
    path.push(node);
  }
  const marks = smallAt.map((at, i) => make(at < 0 ? 0 : made[at], mark, small[i]));
  const nodes = [...made, ...marks];
  tree.placed = whereAt.map((at, i) => [nodes[at], where[i], whereEvents[i]]);
  return finished(tree);
};

// The same events below one frame for each place: `frameOfPlace` gives the frame of a place.
const groupedBy = (tree, frameOfPlace, rest) => {
  const made = emptyTree(), known = new Map();
  for (const [node, place, events] of tree.placed) {
    const first = frameOfPlace[place];
    let twins = known.get(first);
    if (!twins) known.set(first, twins = new Map([[0, below(made, 0, first, rest)]]));
    const path = [];
    let at = node;
    while (!twins.has(at)) { path.push(at); at = tree.parent[at]; }
    let twin = twins.get(at);
    while (path.length) {
      at = path.pop();
      if (made.frame[twin] !== rest) twin = below(made, twin, tree.frame[at], rest);
      twins.set(at, twin);
    }
    made.own[twin] += events;
  }
  return widestFirst(finished(made));
};

// Events by where they ended; below each function those that called it.
const turnedRound = (tree, same, rest) => {
  const made = emptyTree();
  for (let leaf = 1; leaf < tree.parent.length; leaf++) {
    if (!tree.own[leaf]) continue;
    let node = 0;
    for (let at = leaf; at > 0; at = tree.parent[at]) {
      node = below(made, node, same[tree.frame[at]], rest);
      if (made.frame[node] === rest) break;
    }
    made.own[node] += tree.own[leaf];
  }
  return widestFirst(finished(made));
};

// One function in the middle: who reaches it above, what it reaches below. One inside itself counts once.
const bothWays = (tree, frame, same, rest) => {
  const made = emptyTree();
  const middle = below(made, 0, frame, rest);
  const waiting = tree.inner[0].map((node) => [node, 0]);
  while (waiting.length) {
    const [node, place] = waiting.pop();
    let here = place;
    if (place) {
      if (made.frame[place] !== rest) here = below(made, place, same[tree.frame[node]], rest);
    } else if (same[tree.frame[node]] === frame) {
      here = middle;
      for (let at = tree.parent[node], above = middle; at > 0; at = tree.parent[at]) {
        above = below(made, above, same[tree.frame[at]], rest, -1);
        made.total[above] += tree.total[node];
        if (made.frame[above] === rest) break;
      }
      made.total[0] += tree.total[node];
    }
    if (here) { made.own[here] += tree.own[node]; if (here !== place) made.total[here] += tree.total[node]; }
    for (const child of tree.inner[node]) waiting.push([child, here]);
  }
  return widestFirst(finished(made, true));
};

// Only stacks that have something that was found.
const onlyFound = (tree, isFound) => {
  const made = emptyTree(), kept = [0];
  const within = new Uint8Array(tree.parent.length), holds = new Uint8Array(tree.parent.length);
  for (let node = 1; node < tree.parent.length; node++) within[node] = within[tree.parent[node]] || (isFound[tree.frame[node]] ? 1 : 0);
  for (let node = tree.parent.length - 1; node > 0; node--) if (within[node] || holds[node]) holds[node] = holds[tree.parent[node]] = 1;
  for (let node = 1; node < tree.parent.length; node++) {
    if (!holds[node]) continue;
    kept[node] = grow(made, kept[tree.parent[node]], tree.frame[node]);
    made.inner[made.parent[kept[node]]].push(kept[node]);
    if (within[node]) made.own[kept[node]] = tree.own[node];
  }
  return finished(made);
};

// Events of the same paths in another tree, by node; 0 where it has none.
const matched = (tree, other) => {
  const was = new Float64Array(tree.parent.length);
  was[0] = other.total[0];
  const waiting = [[0, 0]];
  while (waiting.length) {
    const [node, twin] = waiting.pop();
    const pairs = [[tree.inner[node], other.inner[twin]]];
    if (node === 1 && tree.outer.length) pairs.push([tree.outer, twin === 1 ? other.outer : []]);
    for (const [nodes, twins] of pairs) {
      const places = new Map(twins.map((one) => [other.frame[one], one]));
      for (const child of nodes) {
        const found = places.get(tree.frame[child]);
        if (found !== undefined) { was[child] += other.total[found]; waiting.push([child, found]); }
      }
    }
  }
  return was;
};

// Events of each function: those that ended in it, and those with what it called; one that calls itself counts once.
const functionsOf = (tree, same) => {
  const own = new Float64Array(same.length), total = new Float64Array(same.length), open = new Int32Array(same.length);
  const waiting = [0];
  while (waiting.length) {
    const at = waiting.pop();
    if (at < 0) { open[same[tree.frame[-at]]]--; continue; }
    if (at > 0) {
      const key = same[tree.frame[at]];
      own[key] += tree.own[at];
      if (!open[key]++) total[key] += tree.total[at];
      waiting.push(-at);
    }
    for (const child of tree.inner[at]) waiting.push(child);
  }
  const there = [];
  for (let frame = 0; frame < same.length; frame++) if (total[frame]) there.push({ frame, own: own[frame], total: total[frame] });
  return there.sort((one, other) => other.own - one.own || other.total - one.total || one.frame - other.frame);
};
