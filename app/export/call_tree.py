"""The stacks of a window as one tree: the executed file at its root, then frames, outermost first.

Every event is in the tree, whatever its size. If a builder is full, an event with a new stack keeps the outer frames
that are known, and the rest is one mark, `stack_frames.CUT`; `cut_events` counts such events. Where events happened is
kept beside the tree, by node. If there is no room for that, the place is `ELSEWHERE`. The order of reading does not
show in a tree: frames and places are numbered, and callees walked, in the order of their text.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from app.export.stack_frames import CUT, StackFrame, binary_frame

MAX_NODES: Final = 1_000_000
"""At some 400 bytes each while the tree is finished: 400 MB. A browser and a person give up long before."""

MAX_FRAMES: Final = 250_000
"""Different frames, at some 600 bytes each with their texts: 150 MB."""


MAX_PLACED: Final = 300_000
"""Nodes by place, at some 200 bytes each while the tree is finished: 60 MB."""


class CallPlace(NamedTuple):
    """Where calls happened; a text is empty where they do not say."""

    namespace: str = ""
    pod: str = ""
    image: str = ""


NOWHERE: Final = CallPlace()

ELSEWHERE: Final = CallPlace(*["(more places than an export holds)"] * 3)
"""Stands for all places for which a tree has no room."""

Placed = tuple[tuple[int, int], ...]
"""Events that ended in one node by place: numbers of places, each with its events."""


class Visit(NamedTuple):
    """One node on the way. `own` are the events that ended here, `total` those with the nodes inside."""

    depth: int
    frame: int
    own: int
    total: int


class CallTree:
    """A finished tree. `frames` and `places` by number."""

    def __init__(
        self,
        frames: tuple[StackFrame, ...],
        visits: tuple[Visit, ...],
        places: tuple[CallPlace, ...],
        placed: tuple[Placed, ...],
    ) -> None:
        """`placed` are the events by place of each visit."""
        self.frames: Final = frames
        self.places: Final = places
        self._visits: Final = visits
        self._placed: Final = placed

    @property
    def events(self) -> int:
        """Events in the tree."""
        return sum(visit.total for visit in self._visits if not visit.depth)

    def walk(self) -> Iterator[Visit]:
        """All nodes, a caller before what it called; the executed files have depth 0."""
        return iter(self._visits)

    def walk_with_places(self) -> Iterator[tuple[Visit, Placed]]:
        """The same, each with the events that ended there by place."""
        return zip(self._visits, self._placed, strict=True)

    def stacks(self) -> Iterator[tuple[tuple[int, ...], int]]:
        """Each different stack, as numbers of frames from the executed file inwards, and its events."""
        path: list[int] = []
        for visit in self._visits:
            del path[visit.depth :]
            path.append(visit.frame)
            if visit.own:
                yield tuple(path), visit.own


class TreeBuilder:
    """Gathers stacks with their events."""

    def __init__(self, max_nodes: int = MAX_NODES, max_frames: int = MAX_FRAMES, max_placed: int = MAX_PLACED) -> None:
        self._max_nodes = max_nodes
        self._max_frames = max_frames
        self._max_placed = max_placed
        self.cut_events = 0
        self._frames: list[StackFrame] = []
        self._numbers: dict[StackFrame, int] = {}
        self._nodes: dict[tuple[int, int], int] = {}
        self._parents: list[int] = [-1]
        self._frame_of: list[int] = [-1]
        self._own: list[int] = [0]
        self._placed: dict[tuple[int, CallPlace], int] = {}

    def add(self, binary: str, frames: Sequence[StackFrame], events: int, place: CallPlace = NOWHERE) -> None:
        """Add events of one place with one stack, whose frames are innermost first."""
        node = 0
        for frame in (binary_frame(binary), *reversed(frames)):
            inner = self._inner(node, frame)
            if inner is None:
                node = self._made(node, CUT)
                self.cut_events += events
                break
            node = inner
        self._own[node] += events
        key = node, place
        if key not in self._placed and len(self._placed) >= self._max_placed:
            key = node, ELSEWHERE
        self._placed[key] = self._placed.get(key, 0) + events

    def _inner(self, node: int, frame: StackFrame) -> int | None:
        """The node of a frame that was called from a node; None if there is no room for it."""
        number = self._numbers.get(frame)
        found = None if number is None else self._nodes.get((node, number))
        if found is not None:
            return found
        if len(self._own) > self._max_nodes or (number is None and len(self._frames) >= self._max_frames):
            return None
        return self._made(node, frame)

    def _made(self, node: int, frame: StackFrame) -> int:
        number = self._numbers.get(frame)
        if number is None:
            number = self._numbers[frame] = len(self._frames)
            self._frames.append(frame)
        key = (node, number)
        if key not in self._nodes:
            self._nodes[key] = len(self._own)
            self._parents.append(node)
            self._frame_of.append(number)
            self._own.append(0)
        return self._nodes[key]

    def tree(self) -> CallTree:
        """What was gathered."""
        totals = list(self._own)
        for node in range(len(totals) - 1, 0, -1):  # a caller's number is below those of what it called
            totals[self._parents[node]] += totals[node]
        ranked = sorted(range(len(self._frames)), key=lambda number: self._frames[number].order)
        rank = {number: place for place, number in enumerate(ranked)}
        inner = self._callees(rank)
        places, placed_at = self._places_by_node()
        visits: list[Visit] = []
        placed: list[Placed] = []
        waiting = [(node, 0) for node in reversed(inner.get(0, ()))]
        while waiting:
            node, depth = waiting.pop()
            visits.append(Visit(depth, rank[self._frame_of[node]], self._own[node], totals[node]))
            placed.append(placed_at.get(node, ()))
            waiting += [(callee, depth + 1) for callee in reversed(inner.get(node, ()))]
        return CallTree(tuple([self._frames[number] for number in ranked]), tuple(visits), places, tuple(placed))

    def _places_by_node(self) -> tuple[tuple[CallPlace, ...], dict[int, Placed]]:
        """All places in order, and for each node in which events ended their numbers with the events."""
        places = tuple(sorted({place for _, place in self._placed}))
        number_of = {place: number for number, place in enumerate(places)}
        found: dict[int, list[tuple[int, int]]] = {}
        for (node, place), events in self._placed.items():
            found.setdefault(node, []).append((number_of[place], events))
        return places, {node: tuple(sorted(one)) for node, one in found.items()}

    def _callees(self, rank: dict[int, int]) -> dict[int, list[int]]:
        """What each node called, by the frames' order."""
        callees: dict[int, list[int]] = {}
        for node in sorted(range(1, len(self._own)), key=lambda node: rank[self._frame_of[node]]):
            callees.setdefault(self._parents[node], []).append(node)
        return callees
