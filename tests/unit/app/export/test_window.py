"""What a window of calls becomes: every call once, in the stack and under the symbols that it says."""

import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, cast

import pytest

from agents.hot_symbols.counting.recent import Recent
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.reading.meaning import PLACE_FIELDS, Meaning
from agents.hot_symbols.reading.observations import CallObserver, Observe
from agents.hot_symbols.table.published import published_record
from agents.hot_symbols.table.query import Query
from app.dead_letters.sent_again import SentAgain
from app.export.call_stacks import CONTAINER_FIELDS, STACK_FIELDS, ContainerMeaning, StackMeaning, binary_reader
from app.export.call_tree import ELSEWHERE, CallPlace, TreeBuilder
from app.export.folded import folded_lines
from app.export.repeats import Repeats, SentAgainInWindow
from app.export.run import ExportOutcome, posted
from app.export.runtime_facts import fact_line
from app.export.window import ExportBooks
from app.export.window_images import ImageGatherer
from app.export.window_stacks import StackGatherer, wanted
from app.export.window_symbols import SymbolGatherer, TooManySymbolsError
from app.kafka.records import Recorded
from schemas.call_layout import CallLayout
from tests.support.calls import call_schema, encode_call, frame
from tests.support.export_readers import read_folded, read_runtime_facts

START_NS = 1_700_000_000_000_000_000
SCHEMA = call_schema()
KERNEL = frame("kernel", "tcp_connect", offset=17)
LIBC = frame("/usr/lib/libc.so.6", "connect", offset=3, build_id="ab" * 20)
HINTED = frame("/opt/libpay.so", symbol_hint="pay", resolution="HintOnly", offset=9, offset_basis="Module")
PLACE = frame("/opt/libpay.so", resolution="ModuleOnly", offset=0x99, offset_basis="Module")

BASE: Final[dict[str, Any]] = {
    "process": {"process_id": "a" * 32, "binary": "/usr/bin/shop"},
    "container_id": "c1",
    "namespace": "shop",
    "image_name": "shop/web:1",
}

Runs = list[tuple[int, Sequence[Recorded]]]


def call(offset: int, *frames: dict[str, Any], **fields: Any) -> bytes:
    """A call of the shop's namespace with this raw offset."""
    sized = fields.pop("sized", True)
    position = {"partition": 0, "offset": offset}
    usual = BASE | {"timestamp_ns": START_NS + offset, "stack_frames": list(frames), "source": position}
    return encode_call(usual | fields, sized=sized)


def records(values: Iterable[bytes | None], partition: int = 0) -> Runs:
    """One run of one partition."""
    return [(partition, [Recorded("t", partition, n, 0, None, value) for n, value in enumerate(values)])]


def observer(meaning: Meaning) -> Observe:
    """Reads calls of the packaged schema."""
    return CallObserver(layout_of, meaning)


def layout_of(schema_id: int) -> CallLayout | None:
    """The registry of this test."""
    return CallLayout(7, SCHEMA, {*CONTAINER_FIELDS, *STACK_FIELDS}) if schema_id == 7 else None


def nothing_repeats(_partition: int, _raw_offset: int) -> bool:
    """No event was sent again."""
    return False


def stacks(
    runs: Runs, place: Query | None = None, repeats: Repeats = nothing_repeats
) -> tuple[dict[tuple[str, ...], int], ExportBooks]:
    """Folded stacks of records, and the books."""
    gatherer = StackGatherer(observer(StackMeaning()), binary_reader(layout_of), wanted(place or Query()), repeats)
    gatherer.gather(runs)
    text = "".join(folded_lines(gatherer.builder.tree(), lambda symbol: symbol))
    return read_folded(text) if text else {}, gatherer.books


def facts(
    runs: Runs, place: Query | None = None, repeats: Repeats = nothing_repeats
) -> tuple[dict[str, dict[str, Any]], ExportBooks]:
    """Runtime facts of records by symbol id, and the books."""
    gatherer = SymbolGatherer(observer(ContainerMeaning()), wanted(place or Query()), 4, repeats)
    gatherer.gather(runs)
    return _facts_of(gatherer), gatherer.books


def _facts_of(gatherer: SymbolGatherer) -> dict[str, dict[str, Any]]:
    lines = [fact_line(row, row["symbol"], containers) for row, containers in gatherer.rows()]
    return read_runtime_facts("".join(filter(None, lines)))


@pytest.mark.parametrize("sized", [True, False])
def test_stacks_go_from_the_binary_inwards_whatever_offsets_are(sized: bool) -> None:
    """Frames of one function are one; a frame without a name keeps its place; both ways of reading say the same."""
    elsewhere = LIBC | {"offset": 99}
    found, books = stacks(
        records([call(0, KERNEL, LIBC, PLACE, sized=sized), call(1, KERNEL, elsewhere, PLACE), call(2, HINTED)])
    )

    shop = "/usr/bin/shop"
    assert found == {
        (shop, "/opt/libpay.so+0x99", "/usr/lib/libc.so.6!connect", "kernel!tcp_connect_[k]"): 2,
        (shop, "/opt/libpay.so!pay?"): 1,
    }
    assert (books.calls, books.first_ns, books.last_ns) == (3, START_NS, START_NS + 2)


@pytest.mark.parametrize("sized", [True, False])
def test_events_keep_where_they_happened_beside_their_stack(sized: bool) -> None:
    """By namespace, pod and image; the image's id stands for a name that is missing, and no place is a place, too."""
    nowhere = {"namespace": None, "image_name": None}
    values = [
        call(0, KERNEL, pod_name="web-1", sized=sized),
        call(1, KERNEL, pod_name="web-2", sized=sized),
        call(2, KERNEL, pod_name="web-2", image_name=None, image_id="sha256:7", sized=sized),
        call(3, KERNEL, pod_name="web-1", sized=sized),
        call(4, KERNEL, **nowhere, sized=sized),
    ]
    gatherer = StackGatherer(observer(StackMeaning()), binary_reader(layout_of), wanted(Query()), nothing_repeats)
    gatherer.gather(records(values))
    tree = gatherer.builder.tree()
    by_place = [{tree.places[place]: events for place, events in placed} for _, placed in tree.walk_with_places()]

    assert by_place == [
        {},
        {
            CallPlace("", "", ""): 1,
            CallPlace("shop", "web-1", "shop/web:1"): 2,
            CallPlace("shop", "web-2", "sha256:7"): 1,
            CallPlace("shop", "web-2", "shop/web:1"): 1,
        },
    ]


def test_a_tree_without_room_for_places_loses_no_event() -> None:
    """Those that have none are elsewhere."""
    builder = TreeBuilder(max_placed=2)
    for number in range(5):
        builder.add("/bin/a", (), 1, CallPlace("shop", f"web-{number}", ""))
    tree = builder.tree()
    ((_, placed),) = tree.walk_with_places()
    assert {tree.places[place].pod: events for place, events in placed} == {"web-0": 1, "web-1": 1, ELSEWHERE.pod: 3}


def test_calls_of_another_schema_version_say_the_same() -> None:
    """Fields in an order of their own: nothing is recognized by its place, and everything is found."""
    schema = call_schema(("process", "syscall"))
    layout = CallLayout(9, schema, PLACE_FIELDS)
    value = encode_call({**BASE, "stack_frames": [LIBC]}, schema_id=9, schema=schema)

    assert layout.regular is None
    assert binary_reader(lambda _: layout)(value) == "/usr/bin/shop"


def test_a_user_probe_that_fired_is_the_innermost_frame_once() -> None:
    """The target of a uprobe is a frame of its own, unless the agent sent it as one; an execution adds none."""
    target = {"module": "/usr/lib/libc.so.6", "symbol": "connect", "offset": 0, "build_id": "ab" * 20}
    probe = {"probe_type": "Uprobe", "probe_target": target}
    found, books = stacks(
        records(
            [
                call(0, **probe),
                call(1, PLACE, **probe),
                call(2, LIBC, PLACE, **probe),
                call(3, probe_type="ProcessExec"),
            ]
        )
    )

    shop, connect = "/usr/bin/shop", "/usr/lib/libc.so.6!connect"
    assert found == {(shop, connect): 1, (shop, "/opt/libpay.so+0x99", connect): 2}
    assert books.without_stack == 1


@pytest.mark.parametrize("read", [stacks, facts])
def test_repetitions_count_once_and_what_is_no_call_is_counted_apart(
    read: Callable[[Runs], tuple[dict[Any, Any], ExportBooks]],
) -> None:
    """A stage that crashed sends calls again; strange records on a shared topic stop nothing."""
    once = records([call(0, LIBC), call(1, KERNEL)])
    again = records(
        [call(0, LIBC), call(1, KERNEL), call(0, LIBC), call(1, KERNEL), None, b"\x00\x00\x00\x00\x09", b"?"]
    )
    found, books = read(again)

    assert found == read(once)[0]
    assert (books.records, books.calls, books.repeated) == (7, 2, 2)
    assert books.unreadable == {"empty": 1, "unknown_schema": 1, "not_framed": 1}
    assert books.first_unreadable.keys() == books.unreadable.keys()
    assert not ExportOutcome(what="stacks", written=2, books=books).is_complete


@pytest.mark.parametrize("read", [stacks, facts])
def test_only_calls_of_wanted_places_are_taken(
    read: Callable[[Runs, Query], tuple[dict[Any, Any], ExportBooks]],
) -> None:
    """By namespace and image; the rest is counted apart, repetitions of it not twice."""
    values = [
        call(0, LIBC),
        call(1, KERNEL, namespace="bank"),
        call(1, KERNEL, namespace="bank"),
        call(2, KERNEL, image_name="shop/db:1", image_id="sha256:2"),
    ]
    found, books = read(records(values), Query(namespace="sho?", image="shop/web:*"))

    assert len(found) == 1
    assert (books.calls, books.not_asked_for, books.repeated) == (1, 2, 1)


def test_runtime_facts_sum_up_hits_and_name_a_container_only_if_it_is_the_only_one() -> None:
    """Every field of a fact, over two partitions that both saw a symbol."""
    runs = records([call(0, KERNEL, LIBC, LIBC), call(5, KERNEL, container_id="c2")])
    runs += records([call(3, LIBC), call(4, HINTED, container_id=None)], partition=1)
    found, books = facts(runs)

    libc = found[f"{'ab' * 20}!connect"]
    assert {name: value for name, value in libc.items() if name != "metadata"} == {
        "symbolId": f"{'ab' * 20}!connect",
        "hitCount": 3,
        "observedAt": "2023-11-14T22:13:20.000000003Z",
    }
    assert libc["metadata"] == {
        "source": "callstream",
        "evidence": "Symbol",
        "hitsOf": "window",
        "buildId": "ab" * 20,
        "buildIdKind": "unknown",
        "space": "user",
        "module": "/usr/lib/libc.so.6",
        "symbol": "connect",
        "confirmedHits": "3",
        "probeHits": "0",
        "firstSeen": "2023-11-14T22:13:20.000000000Z",
        "imageName": "shop/web:1",
        "images": "1",
        "namespaces": "shop",
        "containers": "1",
        "frames.Exact": "3",
    }
    assert "containerId" not in found["kernel!tcp_connect"]
    assert found["kernel!tcp_connect"]["metadata"]["containers"] == "2"
    assert "containerId" not in found["/opt/libpay.so!pay"]
    assert found["/opt/libpay.so!pay"]["metadata"]["confirmedHits"] == "0"
    assert books.calls == 4


def test_a_digest_means_the_calls_of_one_image_however_its_id_is_written() -> None:
    """With the repository in front of it or without; no other image's hits are among them."""
    digest = f"sha256:{'1f' * 32}"
    images = (digest, f"shop/web@{digest}", f"sha256:{'2f' * 32}")
    found, books = facts(
        records(call(n, KERNEL, image_id=one) for n, one in enumerate(images)), Query(image=f"*{digest}")
    )

    assert found["kernel!tcp_connect"]["hitCount"] == 2
    assert (books.calls, books.not_asked_for) == (2, 1)


def test_one_reading_counts_each_image_by_itself() -> None:
    """As if each were read alone. What ran in no image with a digest is in none and counted, as what is not a call."""
    digests = [f"sha256:{one * 32}" for one in ("1f", "2f")]
    values = [
        call(n, *([KERNEL, LIBC] if n % 2 else [KERNEL]), image_id=f"shop/web@{digests[n % 3 % 2]}") for n in range(9)
    ]
    values += [values[4], call(20, KERNEL), call(21, KERNEL, image_name=None, container_id=None), b"?"]
    gatherer = ImageGatherer(observer(ContainerMeaning()), wanted(Query()), 4, nothing_repeats)
    gatherer.gather([(0, records(values)[0][1][at : at + 5]) for at in range(0, len(values), 5)])
    found = {digest: _facts_of(image) for digest, image in gatherer.images()}

    assert list(found) == digests
    for digest in digests:
        assert found[digest] == facts(records(values[:10]), Query(image=f"*{digest}"))[0]
    books = gatherer.books
    assert (books.calls, books.repeated, books.not_asked_for, books.unreadable.total()) == (9, 1, 2, 1)


def test_all_images_together_have_the_limit_of_a_window() -> None:
    """Memory does not grow with the number of images."""
    gatherer = ImageGatherer(observer(ContainerMeaning()), wanted(Query()), 4, nothing_repeats, max_rows=2)

    with pytest.raises(TooManySymbolsError, match="more than 2 symbols"):
        gatherer.gather(records([call(n, KERNEL, image_id=f"sha256:{n:064x}") for n in range(3)]))


def test_the_call_that_hands_facts_over_can_be_pasted() -> None:
    """The shell sees one file, whatever its name; address and ids are put in by whoever calls."""
    found = shlex.split(posted(Path("my facts/$(id).ndjson")))

    assert found[:2] == ["curl", "--fail"]
    assert "@my facts/$(id).ndjson" in found
    assert found[-1] == "$SIGNALS/signals/runtime-facts/ndjson?callgraphId=$CALLGRAPH_ID&scanId=$SCAN_ID"


@pytest.mark.parametrize(("doubled", "said"), [(True, "true"), (False, None), (None, "unknown")])
def test_a_fact_says_whether_its_hits_may_be_doubled(doubled: bool | None, said: str | None) -> None:
    """A count that two ingests may have made too high is not passed on as if it were sure."""
    tally = Tally("/usr/lib/libc.so.6")
    tally.hits = 1
    row = published_record(f"{'ab' * 20}!connect", tally)
    line = fact_line(row | {"hits_may_be_doubled": doubled}, "")
    assert line is not None
    assert json.loads(line)["metadata"].get("hitsMayBeDoubled") == said


def test_a_symbol_without_a_hit_is_no_fact() -> None:
    """A consumer takes every fact for an execution."""
    row = {"hits": 0}
    assert fact_line(row, "", Recent()) is None


def test_a_window_with_too_many_symbols_is_refused_and_not_cut() -> None:
    """A symbol that is missing would be taken for one that never ran."""
    gatherer = SymbolGatherer(observer(ContainerMeaning()), wanted(Query()), 4, nothing_repeats, max_rows=2)

    with pytest.raises(TooManySymbolsError, match="more than 2 symbols"):
        gatherer.gather(records([call(0, KERNEL, LIBC, HINTED)]))


def test_how_records_are_cut_and_how_many_may_wait_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker decides how much it sends at a time, and a limit when what waits is counted."""
    values = [call(n, *[[KERNEL, LIBC], [LIBC], [HINTED, PLACE]][n % 3], container_id=f"c{n % 2}") for n in range(30)]
    whole = records(values)
    cut = [(0, whole[0][1][at : at + 7]) for at in range(0, 30, 7)]

    at_once = stacks(whole), facts(whole)
    assert (stacks(cut), facts(cut)) == at_once
    monkeypatch.setattr("app.export.window_stacks._WAITING_KINDS", 1)
    monkeypatch.setattr("app.export.window_symbols._WAITING_KINDS", 1)
    assert (stacks(cut), facts(cut)) == at_once


class _SentAgain:
    """The record with raw offset 3 was sent again as 7, and that one as 9."""

    def has_copies(self, partition: int) -> bool:
        return partition == 0

    def originals(self, partition: int, offset: int) -> list[int]:
        return {7: [3], 9: [7, 3]}.get(offset, []) if partition == 0 else []

    def was_copied(self, partition: int, offset: int) -> bool:
        return partition == 0 and offset in {3, 7}


@pytest.mark.parametrize(
    ("offsets", "calls"), [((3, 5, 7, 9), 2), ((5, 7, 8, 9), 3), ((7, 3), 1), ((9,), 1), ((3, 3, 7, 7), 1)]
)
def test_an_event_that_was_sent_again_counts_once(offsets: tuple[int, ...], calls: int) -> None:
    """Under the first raw offset that the window has of it."""
    runs = records(call(offset, KERNEL) for offset in offsets)
    sent_again = cast("SentAgain", _SentAgain())
    rows, of_facts = facts(runs, None, SentAgainInWindow(sent_again))
    folded, of_stacks = stacks(runs, None, SentAgainInWindow(sent_again))
    for books in (of_facts, of_stacks):
        assert (books.calls, books.repeated) == (calls, len(offsets) - calls)
    assert [row["hitCount"] for row in rows.values()] == list(folded.values()) == [calls]


def test_a_fact_lists_the_other_names_of_its_code() -> None:
    """A function is found by any of them."""
    tally = Tally("/usr/lib/libz.so.1")
    tally.hits = 1
    named = fact_line(published_record("0123456789abcdef!f", tally), "f", None, ["f_old", "f_v1"])

    assert named is not None
    assert json.loads(named)["metadata"]["names"] == "f_old,f_v1"
