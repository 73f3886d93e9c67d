"""speedscope's own file format: https://github.com/jlfwong/speedscope, "Importing from custom sources".

One `sampled` profile: a sample is a stack, frames from the outside in, its weight the number of events. A frame's
`file` is its module. The file is written piece by piece, so that a large profile is never in memory as text.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from app.export.call_tree import CallTree
from app.export.stack_frames import Demangle, StackFrame, Sureness, name_of

SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"


def speedscope_text(tree: CallTree, demangle: Demangle, title: str, exporter: str) -> Iterator[str]:
    """The file in pieces."""
    yield f'{{"$schema":{_json(SCHEMA)},"name":{_json(title)},"exporter":{_json(exporter)},"activeProfileIndex":0,'
    yield '"shared":{"frames":['
    yield from _listed(_json(_frame(frame, demangle)) for frame in tree.frames)
    yield f']}},"profiles":[{{"type":"sampled","name":{_json(title)},"unit":"none","startValue":0,'
    yield f'"endValue":{tree.events},"samples":['
    yield from _listed(_json(frames) for frames, _ in tree.stacks())
    yield '],"weights":['
    yield from _listed(str(events) for _, events in tree.stacks())
    yield "]}]}\n"


def _listed(entries: Iterable[str]) -> Iterator[str]:
    """Entries of a list, with the commas between them."""
    for number, entry in enumerate(entries):
        yield f",{entry}" if number else entry


def _frame(frame: StackFrame, demangle: Demangle) -> dict[str, str]:
    if frame.sureness is Sureness.NONE:
        return {"name": name_of(frame, demangle)}
    return {"name": name_of(frame, demangle), "file": demangle(frame.module)}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
