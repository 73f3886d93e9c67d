"""Each format of call stacks, read back by a reader that shares no code with its writer."""

import io
import json
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from app.export.call_tree import CallTree, TreeBuilder
from app.export.flame_graph.page import flame_graph_pieces
from app.export.folded import folded_lines
from app.export.pprof import write_pprof
from app.export.speedscope import speedscope_text
from app.export.stack_frames import StackFrame, Sureness, label_of, name_of
from tests.support.export_readers import (
    network_references,
    page_data,
    page_policy,
    read_folded,
    read_pprof,
    read_speedscope,
)
from tests.support.export_trees import (
    ANONYMOUS,
    BUILD_ID,
    CONNECT,
    HINTED,
    NAMES,
    PLACE,
    PROBED,
    PUT,
    STACKS,
    demangle,
    tree_of,
)

_NS = 1_000_000_000


def pprof(tree: CallTree) -> bytes:
    """A profile of a tree."""
    sink = io.BytesIO()
    write_pprof(tree, demangle, sink, first_ns=5 * _NS, last_ns=9 * _NS, comments=["18 calls"])
    return sink.getvalue()


def page(tree: CallTree, max_shown: int = 1_000) -> str:
    """A flame graph of a tree."""
    return "".join(flame_graph_pieces(tree, demangle, "Calls <of> a day", [("18 calls", False)], max_shown))


def folded(tree: CallTree) -> str:
    """Folded stacks of a tree."""
    return "".join(folded_lines(tree, demangle))


def speedscope(tree: CallTree) -> str:
    """A speedscope file of a tree."""
    return "".join(speedscope_text(tree, demangle, "Calls of a day", "callstream 1"))


@pytest.mark.parametrize(
    ("frame", "sureness", "name", "label"),
    [
        (PUT, Sureness.SURE, "shop::Basket::put(int const&)", "/usr/bin/shop!shop::Basket::put(int const&)"),
        (CONNECT, Sureness.SURE, "tcp_connect", "kernel!tcp_connect"),
        (PROBED, Sureness.SURE, "SSL_read", "/usr/lib/libssl.so.3!SSL_read"),
        (HINTED, Sureness.NAMED, "pay_submit?", "/opt/vendor/libpay.so!pay_submit?"),
        (PLACE, Sureness.UNKNOWN, "libpay.so+0x99ab", "/opt/vendor/libpay.so+0x99ab"),
        (ANONYMOUS, Sureness.UNKNOWN, "[anon]", "[anon]"),
        (
            StackFrame("kernel", "bpf_trampoline", resolution="KernelTrampoline", is_kernel_space=True),
            Sureness.NAMED,
            "bpf_trampoline?",
            "kernel!bpf_trampoline?",
        ),
        (StackFrame("", resolution="Unresolved"), Sureness.UNKNOWN, "", ""),
    ],
)
def test_a_frame_says_how_sure_its_name_is(frame: StackFrame, sureness: Sureness, name: str, label: str) -> None:
    """Only a confirmed name stands without a mark, and a frame that nothing names is a place in a file."""
    assert frame.sureness is sureness
    assert name_of(frame, demangle) == (name or "(unknown)")
    assert label_of(frame, demangle) == (label or "(unknown)")


def test_folded_stacks_are_read_back_with_modules_and_kernel_marks() -> None:
    """An independent reader finds every stack and its events."""
    assert read_folded(folded(tree_of())) == {
        ("/usr/bin/shop", "/usr/bin/shop!main", "/usr/bin/shop!shop::Basket::put(int const&)"): 2,
        (
            "/usr/bin/shop",
            "/usr/bin/shop!main",
            "/usr/bin/shop!shop::Basket::put(int const&)",
            "kernel!tcp_connect_[k]",
        ): 5,
        (
            "/usr/bin/shop",
            "/usr/bin/shop!main",
            "/opt/vendor/libpay.so!pay_submit?",
            "/opt/vendor/libpay.so+0x99ab",
        ): 3,
        ("/usr/bin/shop", "/usr/bin/shop!main", "[anon]"): 1,
        ("/usr/bin/cat", "/usr/lib/libssl.so.3!SSL_read"): 7,
    }


def test_a_semicolon_in_a_name_does_not_split_a_folded_frame() -> None:
    """Go's names of types have semicolons."""
    go = StackFrame("/usr/bin/go", "type..eq.struct { a int; b string }", resolution="Exact")
    stacks = read_folded(folded(tree_of([("/usr/bin/go", (go,), 4)])))

    assert stacks == {("/usr/bin/go", "/usr/bin/go!type..eq.struct { a int%3B b string }"): 4}


def test_a_speedscope_file_is_what_its_declarations_say() -> None:
    """An independent reader checks every member, and finds every stack and its events."""
    document = json.loads(speedscope(tree_of()))

    assert read_speedscope(document) == NAMES
    assert {"name": "pay_submit?", "file": "/opt/vendor/libpay.so"} in document["shared"]["frames"]


def test_a_profile_is_read_back_by_field_numbers_alone() -> None:
    """Stacks, labels, mangled names, build ids and times, with a reader that has no generated code."""
    profile = read_pprof(pprof(tree_of()))
    places = {"libpay.so+0x99ab": "/opt/vendor/libpay.so+0x99ab"}

    assert profile.stacks == {tuple(places.get(name, name) for name in names[1:]): n for names, n in NAMES.items()}
    assert {(labels["binary"], *frames)[:2] for frames, labels in profile.labels.items()} == {
        names[:2] for names in NAMES
    }
    assert profile.sample_types == [("events", "count")]
    assert profile.system_names["shop::Basket::put(int const&)"] == "_ZN4shop6Basket3putERKi"
    assert profile.mappings["/usr/bin/shop"] == BUILD_ID
    assert (profile.time_ns, profile.duration_ns, profile.comments) == (5 * _NS, 4 * _NS, ["18 calls"])


@pytest.mark.slow(reason="Go builds its tool first")
@pytest.mark.skipif(shutil.which("go") is None, reason="go's own reader of profiles is not here")
def test_a_profile_is_read_by_go_tool_pprof(tmp_path: Path) -> None:
    """The format's own tool accepts the file, and counts as we do."""
    file = tmp_path / "calls.pb.gz"
    file.write_bytes(pprof(tree_of()))
    command = ["go", "tool", "pprof", "-top", "-symbolize=none", "-nodefraction=0", str(file)]
    top = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    assert "Showing nodes accounting for 18, 100% of 18 total" in top
    lines = [line.split(None, 5) for line in top.splitlines() if re.match(r"\s*\d+\s+[\d.]+%", line)]
    assert {name: (int(flat), int(cum)) for flat, _, _, cum, _, name in lines} == {
        "SSL_read": (7, 7),
        "tcp_connect": (5, 5),
        "shop::Basket::put(int const&)": (2, 7),
        "/opt/vendor/libpay.so+0x99ab": (3, 3),
        "pay_submit?": (0, 3),
        "[anon]": (1, 1),
        "main": (0, 11),
    }


def test_a_flame_graph_asks_for_nothing_and_allows_nothing() -> None:
    """No address and no call that a network could answer, and a policy that lets only the page's own script run."""
    text = page(tree_of())

    assert list(network_references(text)) == []
    policy = page_policy(text)
    assert policy["default-src"] == "'none'"
    script, style = (text.rpartition(f"<{tag}>")[2].partition(f"</{tag}>")[0] for tag in ("script", "style"))
    for directive, content in (("script-src", script), ("style-src", style)):
        assert policy[directive] == f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def test_text_from_the_data_cannot_end_its_element() -> None:
    """A symbol is chosen by the maker of a binary; in the page it is data."""
    evil = StackFrame("</script><img src=x>", "</script><script>alert(1)</script>&amp;", resolution="Exact")
    text = page(tree_of([("<!--", (evil,), 1)]))

    assert list(network_references(text)) == []
    frames = json.loads(page_data(text))["frames"]
    assert [frame[:2] for frame in frames] == [["<!--", ""], ["</script><script>alert(1)</script>&amp;", evil.module]]
    assert "<h1>Calls &lt;of&gt; a day</h1>" in text


def test_a_flame_graph_keeps_widths_true_where_frames_are_left_out() -> None:
    """The smallest frames are not in a file that may not have all of them; their events are."""
    stacks = [("/bin/a", (StackFrame(f"/lib/{n}", f"f{n}", resolution="Exact"),), n + 1) for n in range(100)]
    text = page(tree_of(stacks), max_shown=31)
    data = json.loads(page_data(text))

    assert len(data["depth"]) <= 31
    assert sum(data["own"]) + sum(data["small"]) == sum(data["whereEvents"]) == sum(n + 1 for n in range(100))
    assert data["smallAt"] == [0]
    assert data["facts"][-1] == ["70 frames of fewer than 71 events are not in this graph", True]


@pytest.mark.parametrize("write", [folded, speedscope, pprof, page])
def test_the_order_of_reading_changes_no_byte(write: Callable[[CallTree], str | bytes]) -> None:
    """Partitions may be read in any order, and stacks come in any order and in any parts."""
    split = [(binary, frames, 1) for binary, frames, events in STACKS for _ in range(events)]

    assert write(tree_of()) == write(tree_of(reversed(STACKS))) == write(tree_of(split))


def test_a_stack_without_room_keeps_its_callers_and_its_events() -> None:
    """What a full tree cannot tell apart is marked, and counted."""
    builder = TreeBuilder(max_nodes=3, max_frames=10)
    for binary, frames, events in STACKS:
        builder.add(binary, frames, events)
    tree = builder.tree()

    assert tree.events == 18
    assert sum(read_pprof(pprof(tree)).stacks.values()) == 18
    assert builder.cut_events == 5 + 3 + 1 + 7
    assert read_folded(folded(tree)) == {
        ("/usr/bin/shop", "/usr/bin/shop!main", "(more stacks than an export holds)"): 4,
        ("/usr/bin/shop", "/usr/bin/shop!main", "/usr/bin/shop!shop::Basket::put(int const&)"): 2,
        (
            "/usr/bin/shop",
            "/usr/bin/shop!main",
            "/usr/bin/shop!shop::Basket::put(int const&)",
            "(more stacks than an export holds)",
        ): 5,
        ("(more stacks than an export holds)",): 7,
    }
