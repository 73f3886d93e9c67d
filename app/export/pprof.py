"""pprof's profile format, gzip-compressed: for `go tool pprof`, Parca, Pyroscope and the like.

The executed file is the sample's label `binary` (`-tagroot=binary` shows it as the outermost frame). A function's
`system_name` is the mangled name. Modules become mappings with their build ids. A frame without a name keeps its file
offset as address. The profile is written in pieces, because concatenated protobuf messages are one message. No time of
writing is in it, so the same window gives the same bytes.
"""

import gzip
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO, Final

from app.export.call_tree import CallTree
from app.export.stack_frames import Demangle, StackFrame, label_of, name_of
from app.operators.escaping import escaped
from schemas import pprof_pb2, topics

LABEL: Final = "binary"

_SAMPLES_AT_ONCE: Final = 4_096
"""In one piece; a sample of 12 frames takes some 100 bytes."""


def _string_table() -> defaultdict[str, int]:
    """Each text with its number, which it gets when it is first looked up."""
    texts: defaultdict[str, int] = defaultdict(lambda: len(texts), {"": 0})
    return texts


def write_pprof(
    tree: CallTree, demangle: Demangle, sink: BinaryIO, *, first_ns: int, last_ns: int, comments: Sequence[str]
) -> None:
    """Write the profile; `first_ns` and `last_ns` are the times of the first and the last event."""
    texts = _string_table()
    with gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=6, mtime=0, filename="") as out:
        for piece in _pieces(tree, demangle, texts):
            out.write(piece.SerializeToString(deterministic=True))
        event = pprof_pb2.ValueType(type=texts["events"], unit=texts["count"])
        last = pprof_pb2.Profile(
            sample_type=[event],
            period_type=event,
            period=1,
            time_nanos=first_ns,
            duration_nanos=last_ns - first_ns,
            comment=[texts[escaped(comment)] for comment in comments],
        )
        last.string_table.extend(texts)
        out.write(last.SerializeToString(deterministic=True))


def _pieces(tree: CallTree, demangle: Demangle, texts: defaultdict[str, int]) -> Iterator[pprof_pb2.Profile]:
    yield _tables(tree.frames, demangle, texts)
    key = texts[LABEL]
    stacks = tree.stacks()
    while batch := list(islice(stacks, _SAMPLES_AT_ONCE)):
        piece = pprof_pb2.Profile()
        for frames, events in batch:
            binary, *inner = frames
            name = texts[name_of(tree.frames[binary], demangle)]
            label = pprof_pb2.Label(key=key, str=name)
            locations = [number + 1 for number in reversed(inner or (binary,))]
            piece.sample.append(pprof_pb2.Sample(location_id=locations, value=[events], label=[label]))
        yield piece


def _tables(frames: Sequence[StackFrame], demangle: Demangle, texts: defaultdict[str, int]) -> pprof_pb2.Profile:
    """Mappings, functions and locations; the last two have the number of their frame, from 1 on."""
    tables = pprof_pb2.Profile()
    # Tools take the first mapping for the program that was profiled, and here there are many.
    mappings: dict[tuple[str, str], int] = {(topics.CALLS, ""): 1}
    tables.mapping.append(pprof_pb2.Mapping(id=1, filename=texts[topics.CALLS], has_functions=True))
    for number, frame in enumerate(frames, 1):
        if frame.is_binary:
            continue
        module = (frame.module, frame.build_id)
        if module not in mappings:
            mappings[module] = len(mappings) + 1
            tables.mapping.append(
                pprof_pb2.Mapping(
                    id=mappings[module],
                    filename=texts[demangle(frame.module)],
                    build_id=texts[escaped(frame.build_id)],
                    has_functions=True,  # or pprof looks for the file on the machine that it runs on
                )
            )
        name = name_of(frame, demangle) if frame.symbol or frame.hint else label_of(frame, demangle)
        tables.function.append(
            pprof_pb2.Function(id=number, name=texts[name], system_name=texts[escaped(frame.symbol or frame.hint)])
        )
        tables.location.append(
            pprof_pb2.Location(
                id=number,
                mapping_id=mappings[module],
                address=frame.offset or 0,
                line=[pprof_pb2.Line(function_id=number)],
            )
        )
    return tables
