"""What an export costs: `python -m bench.export`.

Calls of 12 frames, 4,000 different stacks among them, are read for their stacks and for their symbols, next to fastavro
decoding the same calls as a whole. A full call tree, as large as one may become, is then written in every format.
Figures are CPU time of this process, and its largest memory so far.
"""

import io
import random
import resource
import time
from collections.abc import Callable, Iterable
from typing import Final

from agents.hot_symbols.reading.observations import CallObserver
from app.export.call_stacks import CONTAINER_FIELDS, ContainerMeaning, StackMeaning, binary_reader
from app.export.call_tree import MAX_NODES, CallTree, TreeBuilder
from app.export.flame_graph.page import flame_graph_pieces
from app.export.folded import folded_lines
from app.export.pprof import write_pprof
from app.export.speedscope import speedscope_text
from app.export.stack_frames import StackFrame
from app.export.window_stacks import StackGatherer
from app.export.window_symbols import SymbolGatherer
from app.kafka.records import Recorded
from bench.figures import Row, Table, record, text_of
from schemas import records
from schemas.call_layout import CallLayout
from tests.support.calls import call_schema
from tests.support.hot_load import HotLoad

CALLS: Final = 200_000
STACKS: Final = 4_000
FRAMES: Final = 12
AT_ONCE: Final = 2_000
FUNCTIONS: Final = 100_000


def main() -> None:
    """Measure and record."""
    tables = [_reading(), _writing()]
    for table in tables:
        print(text_of(table))
    record("export", tables)


def _reading() -> Table:
    layout = CallLayout(7, call_schema(), CONTAINER_FIELDS)
    load = HotLoad(schema_id=7, partitions=1, symbols=20_000, stacks=STACKS, frames=FRAMES)
    taken = [Recorded("", 0, number, 0, None, value) for number, value in enumerate(load.calls(0, CALLS))]
    runs = [(0, taken[at : at + AT_ONCE]) for at in range(0, CALLS, AT_ONCE)]

    def whole() -> None:
        for one in taken[: CALLS // 10]:
            records.decode(records.CALL, one.value or b"")

    def stacks() -> None:
        observe = CallObserver(lambda _: layout, StackMeaning())
        StackGatherer(observe, binary_reader(lambda _: layout), lambda _: True, lambda *_: False).gather(runs)

    def symbols() -> None:
        SymbolGatherer(CallObserver(lambda _: layout, ContainerMeaning()), lambda _: True, 1, lambda *_: False).gather(
            runs
        )

    measured = (
        ("fastavro, whole calls", whole, CALLS // 10),
        ("stacks into a tree", stacks, CALLS),
        ("symbols counted", symbols, CALLS),
    )
    rows = [Row(name, {"µs an event": round(1e6 * _cpu_s(work) / events, 2)}) for name, work, events in measured]
    return Table("reading a window", {"calls": CALLS, "stacks": STACKS, "frames": FRAMES}, rows)


def _writing() -> Table:
    built: list[CallTree] = []
    rows = [_row("builds the tree", lambda: built.append(_full_tree()))]
    tree = built[0]
    sink = io.BytesIO()
    rows += [
        _row("folded", lambda: _consume(folded_lines(tree, str))),
        _row("speedscope", lambda: _consume(speedscope_text(tree, str, "title", "callstream"))),
        _row("pprof", lambda: write_pprof(tree, str, sink, first_ns=0, last_ns=1, comments=[])),
        _row("html", lambda: _consume(flame_graph_pieces(tree, str, "title", []))),
    ]
    return Table("writing the largest tree", {"nodes": MAX_NODES, "functions": FUNCTIONS}, rows)


def _full_tree() -> CallTree:
    chance = random.Random(3)
    frames = [
        StackFrame(f"/usr/lib/lib{number % 500}.so.1", f"function_number_{number}", resolution="Exact")
        for number in range(FUNCTIONS)
    ]
    builder = TreeBuilder()
    for _ in range(MAX_NODES // FRAMES + MAX_NODES // 50):
        builder.add("/usr/bin/app", chance.choices(frames, k=FRAMES), 1)
    return builder.tree()


def _row(name: str, work: Callable[[], object]) -> Row:
    return Row(name, {"seconds": round(_cpu_s(work), 2), "largest MB": _largest_mbytes()})


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _largest_mbytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _consume(pieces: Iterable[str]) -> None:
    for _ in pieces:
        pass


if __name__ == "__main__":
    main()
