"""A flame graph as one HTML file that loads nothing: data, style and script are inside.

A policy in the page forbids every connection and any script but its own, by digest. Text from the data reaches the page
only as text. The script draws only what is wide enough to be seen, on a canvas, so a large window stays usable. The
same tree gives the same bytes.
"""

import html
import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from typing import Any

from app.export.call_tree import CallTree
from app.export.flame_graph.document import MAX_SHOWN, Fact, flame_graph_document
from app.export.flame_graph.script import STYLE, asset, script
from app.export.stack_frames import Demangle


def flame_graph_pieces(
    tree: CallTree,
    demangle: Demangle,
    title: str,
    facts: Sequence[Fact],
    max_shown: int = MAX_SHOWN,
    *,
    base: CallTree | None = None,
) -> Iterator[str]:
    """The page in pieces. With `base`, it shows how the share of each frame differs from that in the base."""
    trees = [tree] if base is None else [tree, base]
    style, program = _style(), _program()
    parts = {
        "TITLE": html.escape(title),
        "STYLE": style,
        "SCRIPT": program,
        "STYLE_DIGEST": _digest(style),
        "SCRIPT_DIGEST": _digest(program),
    }
    before, after = asset("page.html").split("@DATA@")
    yield _filled(before, parts)
    yield _json(flame_graph_document(trees, demangle, facts, max_shown))
    yield _filled(after, parts)


def _json(value: Any) -> str:
    """JSON without `<`, `>` and `&`, so that no text can end the element around it."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _program() -> str:
    """The script, with names that only it sees."""
    return f'"use strict";\n(() => {{\n{script()}{asset("page.js")}}})();\n'


@cache
def _style() -> str:
    return asset(STYLE) + asset("page.css")


def _digest(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _filled(text: str, parts: dict[str, str]) -> str:
    """The text with its marks replaced, each once and not inside what was put in."""
    pieces = text.split("@")
    return "".join([parts[piece] if place % 2 else piece for place, piece in enumerate(pieces)])
