"""A flame graph as one HTML file that loads nothing: data, style and script are inside.

A policy in the page forbids every connection and any script but its own, by digest. Text from the data reaches the page
only as text. The script draws only what is wide enough to be seen, on a canvas, so a large window stays usable. The
same tree gives the same bytes. If a tree has more than `MAX_SHOWN` nodes, the smallest are left out. Each group of them
is one mark with its events, so widths stay true.
"""

import html
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from app.export.call_tree import CallTree
from app.export.stack_frames import Demangle, StackFrame, Sureness, name_of
from app.operators.escaping import escaped

MAX_SHOWN: Final = 150_000
"""Nodes in the file, at some 15 bytes each: 2 MB beside the names. Ten times what fits side by side on a screen."""

_PARTS: Final = ("trees", "drawing", "moving", "picture", "views")
"""The script's files, in their order."""

_SURENESS: Final = tuple(Sureness)


@dataclass(slots=True)
class _Shown:
    """The nodes of the file in order of walking, and events of what was too small beside its caller's place in it."""

    depth: list[int] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    small: dict[int, int] = field(default_factory=dict)
    left_out: int = 0


def flame_graph_pieces(
    tree: CallTree,
    demangle: Demangle,
    title: str,
    facts: Sequence[tuple[str, bool]],
    max_shown: int = MAX_SHOWN,
    *,
    base: CallTree | None = None,
) -> Iterator[str]:
    """The page in pieces. `facts` are lines for its head, each with whether it is a warning.

    With `base`, the page shows how the share of each frame differs from that in the base.
    """
    trees = [tree] if base is None else [tree, base]
    pictures = []
    for one in trees:
        threshold = _threshold(one, max_shown)
        pictures.append(shown := _shown(one, threshold))
        if shown.left_out:
            where = "this file" if one is tree else "what it is compared with"
            left_out = f"{shown.left_out:,} frames of fewer than {threshold:,} events are not in {where}"
            facts = [*facts, (left_out, True)]
    style, script = _asset("flame_graph.css"), _script()
    parts = {
        "TITLE": html.escape(title),
        "STYLE": style,
        "SCRIPT": script,
        "STYLE_DIGEST": _digest(style),
        "SCRIPT_DIGEST": _digest(script),
    }
    before, after = _asset("flame_graph.html").split("@DATA@")
    yield _filled(before, parts)
    yield from _data(trees, demangle, facts, pictures)
    yield _filled(after, parts)


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
    for visit in tree.walk():
        del path[visit.depth :]
        if visit.total >= threshold:
            path.append(len(shown.depth))
            shown.depth.append(visit.depth)
            shown.frame.append(visit.frame)
            shown.own.append(visit.own)
            continue
        shown.left_out += 1
        if len(path) == visit.depth:
            above = path[-1] if path else -1
            shown.small[above] = shown.small.get(above, 0) + visit.total
    return shown


def _data(
    trees: Sequence[CallTree], demangle: Demangle, facts: Sequence[tuple[str, bool]], pictures: Sequence[_Shown]
) -> Iterator[str]:
    """The data as JSON that may stand inside a script element; frames that no node shows are not in it."""
    used: dict[StackFrame, int] = {}
    numbers = [
        {number: used.setdefault(tree.frames[number], len(used)) for number in sorted(set(shown.frame))}
        for tree, shown in zip(trees, pictures, strict=True)
    ]
    yield f'{{"facts":{_json([(escaped(line), warns) for line, warns in facts])},"frames":['
    for frame, place in used.items():
        yield ("," if place else "") + _json(_frame(frame, demangle))
    yield "]," + _nodes(pictures[0], numbers[0])
    if len(pictures) > 1:
        yield f',"base":{{{_nodes(pictures[1], numbers[1])}}}'
    yield "}"


def _nodes(shown: _Shown, numbers: dict[int, int]) -> str:
    frames = [numbers[number] for number in shown.frame]
    small = f'"smallAt":{_json(list(shown.small))},"small":{_json(list(shown.small.values()))}'
    return f'"depth":{_json(shown.depth)},"frame":{_json(frames)},"own":{_json(shown.own)},{small}'


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


def _json(value: Any) -> str:
    """JSON without `<`, `>` and `&`, so that no text can end the element around it."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _script() -> str:
    """The parts of the script as one, with names that only it sees."""
    parts = [_asset(f"flame_graph.{part}.js") for part in _PARTS]
    return '"use strict";\n(() => {\n' + "".join(parts) + "})();\n"


@cache
def _asset(name: str) -> str:
    return files("app.export").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _filled(text: str, parts: dict[str, str]) -> str:
    """The text with its marks replaced, each once and not inside what was put in."""
    pieces = text.split("@")
    return "".join([parts[piece] if place % 2 else piece for place, piece in enumerate(pieces)])
