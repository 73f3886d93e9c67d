"""Any stacks, whatever they are called: every format takes them, loses no event, and is the same in any order."""

import io
import json
import random
import re

from hypothesis import given
from hypothesis import strategies as st

from agents.hot_symbols.reading.evidence import RESOLUTIONS
from app.export.call_tree import CallTree, TreeBuilder
from app.export.flame_graph.page import flame_graph_pieces
from app.export.folded import folded_lines
from app.export.pprof import write_pprof
from app.export.speedscope import speedscope_text
from app.export.stack_frames import PROBE, StackFrame, Sureness, name_of
from tests.support.export_readers import network_references, page_data, read_folded, read_pprof, read_speedscope

_TEXTS = st.sampled_from(["", "a", "/usr/lib/libc.so.6", "f;g 7", "x\ny", "<script>", "é" * 30, "main 3"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=12
)
_FRAMES = st.builds(
    StackFrame,
    module=_TEXTS,
    symbol=_TEXTS,
    hint=_TEXTS,
    offset=st.none() | st.integers(0, 2**63 - 1),
    build_id=st.sampled_from(["", "ab" * 20]),
    resolution=st.sampled_from([*RESOLUTIONS, PROBE]),
    is_kernel_space=st.booleans(),
)
_STACKS = st.lists(
    st.tuples(_TEXTS, st.lists(_FRAMES, min_size=1, max_size=6).map(tuple), st.integers(1, 2**40)),
    min_size=1,
    max_size=8,
)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def shown(symbol: str) -> str:
    """As people see a symbol: without characters that a terminal obeys."""
    return _UNPRINTABLE.sub("?", symbol)


def tree_of(stacks: list[tuple[str, tuple[StackFrame, ...], int]], max_nodes: int = 1_000) -> CallTree:
    """A tree of stacks, added in their order."""
    builder = TreeBuilder(max_nodes, max_nodes)
    for stack in stacks:
        builder.add(*stack)
    return builder.tree()


def written(tree: CallTree, max_shown: int = 1_000) -> tuple[str, str, bytes, str]:
    """The tree in all formats."""
    sink = io.BytesIO()
    write_pprof(tree, shown, sink, first_ns=1, last_ns=2, comments=["some calls"])
    return (
        "".join(folded_lines(tree, shown)),
        "".join(speedscope_text(tree, shown, "title", "callstream 1")),
        sink.getvalue(),
        "".join(flame_graph_pieces(tree, shown, "title", [], max_shown)),
    )


@given(stacks=_STACKS, max_nodes=st.integers(1, 40), max_shown=st.integers(1, 40))
def test_every_reader_finds_every_event(
    stacks: list[tuple[str, tuple[StackFrame, ...], int]], max_nodes: int, max_shown: int
) -> None:
    """However full the tree and however small the file: events that were added are events that are read."""
    events = sum(number for _, _, number in stacks)
    folded, scope, profile, page = written(tree_of(stacks, max_nodes), max_shown)
    data = json.loads(page_data(page))

    assert sum(read_folded(folded).values()) == events
    assert sum(read_speedscope(json.loads(scope)).values()) == events
    assert sum(read_pprof(profile).stacks.values()) == events
    assert sum(data["own"]) + sum(data["small"]) == sum(data["whereEvents"]) == events
    assert len(data["depth"]) <= max_shown
    assert list(network_references(page)) == []


@given(stacks=_STACKS, order=st.randoms(use_true_random=False))
def test_the_order_in_which_stacks_come_changes_no_byte(
    stacks: list[tuple[str, tuple[StackFrame, ...], int]], order: random.Random
) -> None:
    """A tree that is not full forgets the order."""
    other = list(stacks)
    order.shuffle(other)

    assert written(tree_of(stacks)) == written(tree_of(other))


@given(frame=_FRAMES)
def test_only_a_confirmed_name_looks_confirmed(frame: StackFrame) -> None:
    """A frame that no index, kernel or probe names is marked, or has no name."""
    name = name_of(frame, lambda symbol: symbol)
    confirmed = frame.resolution in {"Exact", "Inlined", "Kernel", "KernelModule", PROBE}

    if frame.symbol and confirmed:
        assert (name, frame.sureness) == (frame.symbol, Sureness.SURE)
    elif frame.symbol or frame.hint:
        assert (name, frame.sureness) == ((frame.symbol or frame.hint) + "?", Sureness.NAMED)
    else:
        assert frame.sureness is Sureness.UNKNOWN
