"""A call tree as the data that a flame graph draws.

The smallest nodes are left out if a tree has more than `max_shown` of them. Each group of these is one mark with its
events, so widths stay true. The same tree gives the same data.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.export.call_tree import CallTree
from app.export.stack_frames import Demangle, StackFrame, Sureness, name_of
from app.operators.escaping import escaped

MAX_SHOWN: Final = 150_000
"""Nodes of a tree, at some 15 bytes each: 2 MB beside the names. Ten times what fits side by side on a screen."""

Fact = tuple[str, bool]
"""A line for a graph's head, and whether it is a warning."""

_SURENESS: Final = tuple(Sureness)


@dataclass(slots=True)
class _Shown:
    """The nodes that are shown in order of walking, and events of what was too small beside its caller's place in it.

    `where` has the events by place, of a node or (after all nodes) of what was too small, by their numbers.
    """

    depth: list[int] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    small: dict[int, int] = field(default_factory=dict)
    where: dict[tuple[int, int], int] = field(default_factory=dict)
    where_small: dict[tuple[int, int], int] = field(default_factory=dict)
    left_out: int = 0


def flame_graph_document(
    trees: Sequence[CallTree],
    demangle: Demangle,
    facts: Sequence[Fact],
    max_shown: int = MAX_SHOWN,
    *,
    id_of: Callable[[StackFrame], str] | None = None,
) -> dict[str, Any]:
    """The data of a tree, and of the one that it is compared with, if there are two.

    `facts`, `frames` (in the order of `_frame`) and `places` (namespace, pod, image); then of the first tree, and
    under `base` of the second one: `depth`, `frame` and `own` events of each node, a caller before what it called;
    events that are too small (`small`) below the nodes `smallAt`, where -1 is above all; and events by place.
    With `id_of`, each frame has one more text, which is what it says of the frame.
    """
    pictures = []
    for tree, where in zip(trees, ("this graph", "what it is compared with"), strict=False):
        threshold = _threshold(tree, max_shown)
        pictures.append(shown := _shown(tree, threshold))
        if shown.left_out:
            facts = [*facts, (f"{shown.left_out:,} frames of fewer than {threshold:,} events are not in {where}", True)]
    used: dict[StackFrame, int] = {}
    places: dict[tuple[str, ...], int] = {}
    nodes = [_nodes(tree, shown, used, places) for tree, shown in zip(trees, pictures, strict=True)]
    return {
        "facts": [(escaped(line), warns) for line, warns in facts],
        "frames": [_frame(frame, demangle) + ([] if id_of is None else [id_of(frame)]) for frame in used],
        "places": [[escaped(text) for text in place] for place in places],
        **nodes[0],
        **({"base": nodes[1]} if len(nodes) > 1 else {}),
    }


def _threshold(tree: CallTree, max_shown: int) -> int:
    """The fewest events of a node that is shown."""
    totals = Counter(visit.total for visit in tree.walk())
    nodes = 0
    threshold = max(totals, default=0) + 1
    for events in sorted(totals, reverse=True):
        nodes += totals[events]
        if nodes > max_shown:
            return threshold
        threshold = events
    return 1


def _shown(tree: CallTree, threshold: int) -> _Shown:
    shown = _Shown()
    path: list[int] = []  # places of the nodes that lead to the present one; -1 above the files
    for visit, places in tree.walk_with_places():
        del path[visit.depth :]
        if visit.total >= threshold:
            path.append(len(shown.depth))
            for place, events in places:
                shown.where[path[-1], place] = events
            shown.depth.append(visit.depth)
            shown.frame.append(visit.frame)
            shown.own.append(visit.own)
            continue
        shown.left_out += 1
        above = path[-1] if path else -1
        if len(path) == visit.depth:
            shown.small[above] = shown.small.get(above, 0) + visit.total
        for place, events in places:
            shown.where_small[above, place] = shown.where_small.get((above, place), 0) + events
    return shown


def _nodes(
    tree: CallTree, shown: _Shown, used: dict[StackFrame, int], places: dict[tuple[str, ...], int]
) -> dict[str, list[int]]:
    """One tree; the frames and places that it shows get numbers in `used` and `places`."""
    frames = {number: used.setdefault(tree.frames[number], len(used)) for number in sorted(set(shown.frame))}
    small = {above: len(shown.depth) + number for number, above in enumerate(shown.small)}
    where = [*shown.where.items(), *(((small[above], place), n) for (above, place), n in shown.where_small.items())]
    numbers = {
        number: places.setdefault(tree.places[number], len(places)) for number in sorted({key[1] for key, _ in where})
    }
    return {
        "depth": shown.depth,
        "frame": [frames[number] for number in shown.frame],
        "own": shown.own,
        "smallAt": list(shown.small),
        "small": list(shown.small.values()),
        "whereAt": [at for (at, _), _ in where],
        "where": [numbers[place] for (_, place), _ in where],
        "whereEvents": [events for _, events in where],
    }


def _frame(frame: StackFrame, demangle: Demangle) -> list[Any]:
    sureness = frame.sureness
    return [
        name_of(frame, demangle),
        "" if sureness is Sureness.NONE else demangle(frame.module),
        _SURENESS.index(sureness),
        int(frame.is_kernel_space),
        escaped(frame.symbol or frame.hint),
        escaped(frame.build_id),
        frame.resolution,
    ]
