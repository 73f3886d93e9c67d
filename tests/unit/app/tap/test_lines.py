"""app/tap/lines.py: what a person sees of a record."""

from typing import Any

import pytest
from google.protobuf import json_format

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from app.symbols.display import SymbolDisplay
from app.tap.decoding import UNDECODED
from app.tap.grades import frame_grades, shares_line
from app.tap.lines import Headline, lines
from schemas import topics
from schemas.canonical_pb2 import CanonicalEvent
from schemas.coverage import CLAIMS, TELLING, GapCause
from schemas.tetragon.arguments_pb2 import KprobeArgument
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.events import event, kernel_frame, kprobe, pod_process, user_frame

WHERE = Headline(2, 41, "key")
TIME = "2026-01-07T12:00:01.250000123Z"
SECOND = "1970-01-01T00:00:00.000Z to 1970-01-01T00:00:01.000Z"
POD = "tidewatch-6c9d7f5b4-x2m8q"

CALL: dict[str, Any] = {
    "timestamp_ns": 1_767_787_201_250_000_123,
    "probe_type": "Kretprobe",
    "process": {"pid": 4182, "binary": "/usr/bin/tidewatch", "arguments": "--berth 12"},
    "syscall": "sys_openat",
    "stack_frames": [
        {
            "module": "/usr/lib/libharbour.so.2",
            "symbol": "gauge_poll",
            "offset": 18,
            "source_file": "src/gauge.c",
            "line_number": 77,
            "offset_basis": "Symbol",
            "resolution": "Exact",
            "symbol_hint": None,
        },
        {
            "module": "/usr/bin/tidewatch",
            "symbol": "",
            "offset": 16839,
            "source_file": None,
            "line_number": None,
            "offset_basis": "Module",
            "resolution": "HintOnly",
            "symbol_hint": "main",
        },
        {
            "module": "[anon]",
            "symbol": "",
            "offset": 0,
            "source_file": None,
            "line_number": None,
            "offset_basis": "None",
            "resolution": "Anonymous",
            "symbol_hint": None,
        },
    ],
    "namespace": "harbour",
    "pod_name": "tidewatch-x2m8q",
    "call_arguments": [
        {"label": None, "type": "int", "value": "-100"},
        {"label": "path", "type": "string", "value": None},
    ],
    "return_value": {"label": None, "type": "int", "value": "-13"},
    "exit_signal": None,
    "exit_status": None,
    "redaction": {"policy_id": "p", "counts": {"token": 2, "home": 1}},
}


def _canonical_document(raw: GetEventsResponse) -> dict[str, Any]:
    outcome = Canonicalizer({}).canonicalize(raw.SerializeToString(), 2, 41, 0)
    assert isinstance(outcome, Canonical)
    found: dict[str, Any] = json_format.MessageToDict(
        CanonicalEvent.FromString(outcome.value), preserving_proto_field_name=True
    )
    return found


def test_a_call_shows_who_did_what_and_from_where() -> None:
    """Headline, arguments, one line a frame with its resolution, and what was redacted."""
    shown = [line.rstrip() for line in lines(topics.CALLS, WHERE, CALL)]

    assert shown == [
        f"{TIME}  Kretprobe  sys_openat  harbour/tidewatch-x2m8q  /usr/bin/tidewatch[4182]  2@41",
        "    --berth 12",
        "    int=-100 path=(nothing) -> -13",
        "    " + f"{'/usr/lib/libharbour.so.2!gauge_poll+0x12  src/gauge.c:77':<84}  Exact",
        "    " + f"{'/usr/bin/tidewatch+0x41c7  (main?)':<84}  HintOnly",
        "    " + f"{'[anon]':<84}  Anonymous",
        "    redacted: home 1, token 2",
    ]


def test_a_canonical_event_reads_like_the_call_that_it_becomes() -> None:
    """Both forms of an event have the same headline and the same frames."""
    raw = kprobe(
        "__x64_sys_openat",
        who=pod_process(),
        args=[KprobeArgument(int_arg=-100)],
        kernel=[kernel_frame("do_sys_openat2", 12), kernel_frame("bpf_trampoline_6442", 9)],
        user=[user_frame("/usr/bin/tidewatch", 16839, "main")],
    )
    shown = [line.rstrip() for line in lines(topics.CANONICAL, WHERE, _canonical_document(raw))]

    assert shown == [
        f"{TIME}  Kprobe  sys_openat  harbour/{POD}  /usr/bin/tidewatch[4182]  2@41",
        "    --berth 12 --interval 30s",
        "    int=-100",
        "    " + f"{'kernel!do_sys_openat2+0xc':<84}  Kernel",
        "    " + f"{'kernel!bpf_trampoline':<84}  KernelTrampoline",
        "    " + f"{'/usr/bin/tidewatch+0x41c7  (main?)':<84}  HintOnly",
    ]


@pytest.mark.parametrize("topic", [topics.CALLS, topics.CANONICAL])
def test_names_are_shown_demangled_and_keep_their_offset(topic: str) -> None:
    """What is sure and what is hinted, in both forms; module and offset are written as everywhere."""
    raw = kprobe("tcp_connect", user=[user_frame("/usr/lib/a+0x1b", 16, "_ZN4shop3putEv")])
    frame = {**CALL["stack_frames"][0], "module": "/usr/lib/a+0x1b", "symbol": "_ZN4shop3putEv"}
    hinted = {**CALL["stack_frames"][1], "symbol_hint": "_ZN4shop3putEv"}
    call = CALL | {"stack_frames": [frame, hinted]}
    document = call if topic == topics.CALLS else _canonical_document(raw)
    with SymbolDisplay() as display:
        shown = [line.strip() for line in lines(topic, WHERE, document, display.name)]

    assert f"{'/usr/bin/tidewatch+0x41c7  (shop::put()?)':<84}  HintOnly" in shown or topic == topics.CANONICAL
    assert any("/usr/lib/a%2B0x1b" in line and "shop::put()" in line for line in shown)
    if topic == topics.CALLS:
        assert f"{'/usr/lib/a%2B0x1b!shop::put()+0x12  src/gauge.c:77':<84}  Exact" in shown


def test_hot_symbols_are_shown_demangled() -> None:
    """The stored name is in the JSON form."""
    row = {"module": "/usr/lib/libshop.so", "symbol": "_ZN4shop3putEv", "evidence": "Symbol", "hits": 0}
    row |= {"first_seen_ns": 0, "last_seen_ns": 0}
    with SymbolDisplay() as display:
        (line,) = lines(topics.HOT_SYMBOLS, WHERE, row, display.name)

    assert "  /usr/lib/libshop.so!shop::put()  " in line


def test_grades_are_those_of_the_frames() -> None:
    """Calls and canonical events count alike, other records not at all."""
    raw = kprobe("tcp_connect", kernel=[kernel_frame("x", 1)], user=[user_frame("/a", 1, "f"), user_frame("/a", 2)])

    assert list(frame_grades(topics.CALLS, CALL)) == ["Exact", "HintOnly", "Anonymous"]
    assert list(frame_grades(topics.CANONICAL, _canonical_document(raw))) == ["Kernel", "HintOnly", "ModuleOnly"]
    for document in (None, {UNDECODED: "ff"}):
        assert list(frame_grades(topics.CALLS, document)) == []
    assert shares_line({"Exact": 1, "Kernel": 1234}) == "1,235 frames: 99.9% Kernel, 0.1% Exact"


@pytest.mark.parametrize(
    ("fields", "ending"), [({"status": 3}, "status 3"), ({"signal": "SIGKILL"}, "SIGKILL"), ({}, "status 0")]
)
def test_an_exit_shows_how_it_ended(fields: dict[str, Any], ending: str) -> None:
    """Status, 0 included, or signal."""
    (headline, *_) = lines(topics.CANONICAL, WHERE, _canonical_document(event("process_exit", **fields)))

    assert headline.endswith(f"/usr/bin/tidewatch[4182]  {ending}  2@41")


def test_a_raw_event_shows_its_kind_and_process() -> None:
    """Enough to find an event; the rest is in the JSON form."""
    document = json_format.MessageToDict(kprobe("tcp_connect"), preserving_proto_field_name=True)

    assert list(lines(topics.RAW, WHERE, document)) == [
        f"{TIME}  process_kprobe  quay-7  /usr/bin/tidewatch[4182]  2@41",
        "    --berth 12 --interval 30s",
    ]


PROBES = {
    "node": "quay-7",
    "cluster": "east",
    "from_ns": 0,
    "to_ns": 10**9,
    "answer": "Refused",
    "namespace": "",
    "state": "Enabled",
    "end": "Open",
}
COVERAGE = {"node": "quay-7", "cluster": "", "from_ns": 0, "to_ns": 10**9, "events_lost": None}


@pytest.mark.parametrize(
    ("topic", "document", "expected"),
    [
        (
            topics.DEAD_LETTERS,
            {
                "source_topic": "tetragon.raw",
                "source_partition": 1,
                "source_offset": 9,
                "stage": "canonicalize",
                "reason": "invalid_utf8",
                "error_class": "DecodeError",
            },
            "canonicalize  invalid_utf8 (DecodeError)  tetragon.raw 1@9  2@41",
        ),
        (
            topics.COVERAGE,
            COVERAGE | {"cluster": "east", "cause": "Overflow"},
            f"east/quay-7  Overflow  {SECOND}  an unknown number of events lost  2@41",
        ),
        (
            topics.COVERAGE,
            COVERAGE | {"cause": "Heartbeat"},
            f"quay-7  Heartbeat  {SECOND}  events complete  2@41",
        ),
        (
            topics.PROBES,
            PROBES | {"policy": "tls", "namespace": "shop", "end": "Reloaded"},
            f"east/quay-7  shop/tls  Enabled  {SECOND}  Reloaded  2@41",
        ),
        (
            topics.PLACEMENTS,
            {"node": "quay-7", "cluster": "east", "build_id": "a1b2", "from_ns": 0, "to_ns": 10**9},
            f"east/quay-7  a1b2  {SECOND}  2@41",
        ),
        (topics.PROBES, PROBES | {"policy": ""}, f"east/quay-7  agent  Refused  {SECOND}  2@41"),
        (
            topics.WATCH,
            {"symbol": "f", "since_ns": 0, "vulnerability": "CVE-1", "vulnerabilities": ["CVE-1", "CVE-2"]},
            "key  watched since the record's time  CVE-1, CVE-2  2@41",
        ),
        (
            topics.WATCHED,
            {"answer": "NeverHit", "hits": 0, "complete_ns": 90 * 60 * 10**9},
            "NeverHit  0 hits  key  complete for 1.5 h  2@41",
        ),
        (
            topics.HOT_SYMBOLS,
            {
                "module": "kernel",
                "symbol": "tcp_connect",
                "evidence": "Symbol",
                "hits": 12,
                "first_seen_ns": 0,
                "last_seen_ns": 10**9,
            },
            f"        12 hits  kernel!tcp_connect  Symbol  {SECOND}  2@41",
        ),
        (topics.HOT_PARTIALS, {"first_offset": 1}, 'key  {"first_offset": 1}  2@41'),
    ],
)
def test_other_records_take_one_line(topic: str, document: dict[str, Any], expected: str) -> None:
    """Dead letters, gaps, hot symbols and table rows."""
    assert list(lines(topic, WHERE, document)) == [expected]


def test_deleted_and_undecoded_records_say_so() -> None:
    """A tombstone and a strange record are told apart."""
    assert list(lines(topics.HOT_SYMBOLS, WHERE, None)) == ["2@41  key  deleted"]
    assert list(lines(topics.CALLS, WHERE, {UNDECODED: "ff00"})) == ["2@41  key  not decoded: ff00"]


def test_no_control_character_reaches_the_terminal() -> None:
    """An attacker who chooses arguments cannot move the cursor of whoever looks."""
    call = CALL | {"process": {"pid": 1, "binary": "/bin/x", "arguments": "a\x1b[2Jb\r\n\u202ec"}, "syscall": "\x07"}
    shown = "".join(lines(topics.CALLS, WHERE, call))

    assert shown.isprintable()
    assert r"a\u001b[2Jb\r\n\u202ec" in shown


def test_long_arguments_are_cut_for_people() -> None:
    """A line stays readable; the JSON form has all of it."""
    call = CALL | {"process": {"pid": 1, "binary": "/bin/x", "arguments": "a" * 5000}}
    arguments = list(lines(topics.CALLS, WHERE, call))[1]

    assert arguments.endswith("… (5000 characters)")
    assert len(arguments) < 500


@pytest.mark.parametrize("cause", sorted(CLAIMS | TELLING))
def test_no_record_that_is_no_gap_reads_as_a_loss(cause: GapCause) -> None:
    """At three in the morning, a heartbeat or a farewell must not look like lost events."""
    (line,) = lines(topics.COVERAGE, WHERE, COVERAGE | {"cause": cause.value})
    assert "lost" not in line
