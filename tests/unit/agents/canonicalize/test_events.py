"""agents/canonicalize/events.py and stage.py: what becomes of an event, case by case."""

from typing import Any, NamedTuple

import pytest

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import (
    MAX_CALL_BYTES,
    MAX_REPEATED_PARTS,
    MAX_STACK_FRAMES,
    Canonical,
    EventRefusal,
    EventRefusalReason,
    NotACall,
    Outcome,
)
from agents.canonicalize.probes import HookKind, PolicyHooks
from agents.canonicalize.stage import CanonicalizeStep
from schemas import canonical_pb2 as canonical
from schemas.tetragon.arguments_pb2 import KprobeArgument
from schemas.tetragon.events_pb2 import GetEventsResponse, ProcessKprobe, StackTraceEntry

RECEIPT_MS = 1_700_000_000_123


class Record(NamedTuple):
    """A source record as the transport hands it out."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def _event(kind: str, *, exec_id: str = "bm9kZTox", time: bool = True, **fields: Any) -> GetEventsResponse:
    event = GetEventsResponse(node_name="node-a")
    body = getattr(event, kind)
    body.process.exec_id = exec_id
    for name, value in fields.items():
        setattr(body, name, value)
    if time:
        event.time.seconds, event.time.nanos = 1_700_000_000, 5
    return event


def _outcome(event: GetEventsResponse | bytes, hooks: PolicyHooks | None = None) -> Outcome:
    raw = event if isinstance(event, bytes) else event.SerializeToString()
    return Canonicalizer(hooks or {}).canonicalize(raw, partition=2, offset=40, receipt_ms=RECEIPT_MS)


def _canonical(event: GetEventsResponse, hooks: PolicyHooks | None = None) -> canonical.CanonicalEvent:
    outcome = _outcome(event, hooks)
    assert isinstance(outcome, Canonical), outcome
    return canonical.CanonicalEvent.FromString(outcome.value)


def _refusal(event: GetEventsResponse | bytes) -> EventRefusalReason:
    outcome = _outcome(event)
    assert isinstance(outcome, EventRefusal), outcome
    return outcome.reason


@pytest.mark.parametrize(
    ("kind", "hook", "returns", "expected"),
    [
        ("process_exec", None, False, canonical.PROBE_TYPE_PROCESS_EXEC),
        ("process_exit", None, False, canonical.PROBE_TYPE_PROCESS_EXIT),
        ("process_kprobe", None, False, canonical.PROBE_TYPE_KPROBE),
        ("process_kprobe", None, True, canonical.PROBE_TYPE_KRETPROBE),
        ("process_kprobe", HookKind.FENTRY, False, canonical.PROBE_TYPE_FENTRY),
        ("process_kprobe", HookKind.FENTRY, True, canonical.PROBE_TYPE_FEXIT),
        ("process_kprobe", HookKind.FEXIT, True, canonical.PROBE_TYPE_FEXIT),
        ("process_kprobe", HookKind.URETPROBE, False, canonical.PROBE_TYPE_KPROBE),
        ("process_uprobe", None, False, canonical.PROBE_TYPE_UPROBE),
        ("process_uprobe", HookKind.URETPROBE, False, canonical.PROBE_TYPE_URETPROBE),
        ("process_tracepoint", None, False, canonical.PROBE_TYPE_TRACEPOINT),
        ("process_usdt", None, False, canonical.PROBE_TYPE_USDT),
        ("process_lsm", None, False, canonical.PROBE_TYPE_LSM),
    ],
)
def test_probe_type_follows_the_wire_and_the_policy_map(
    kind: str, hook: HookKind | None, returns: bool, expected: int
) -> None:
    """A return value makes a return probe; only the operator's map makes fentry, fexit and uretprobe."""
    event = _event(kind)
    if kind not in {"process_exec", "process_exit"}:
        getattr(event, kind).policy_name = "watch"
    if returns:
        getattr(event.process_kprobe, "return").int_arg = 0

    assert _canonical(event, {"watch": hook} if hook else None).probe.probe_type == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("process_loader", NotACall.LOADER),
        ("process_throttle", NotACall.THROTTLE),
        ("rate_limit_info", NotACall.RATE_LIMIT),
        ("test", NotACall.TEST),
    ],
)
def test_outcome_is_not_a_call_when_the_kind_is_none(kind: str, expected: NotACall) -> None:
    """Loader, throttle, rate limit and test messages are known and counted, and no calls."""
    event = GetEventsResponse()
    getattr(event, kind).SetInParent()

    assert _outcome(event) is expected


def test_outcome_is_refused_when_bytes_do_not_parse() -> None:
    """Truncated bytes are malformed."""
    assert _refusal(_event("process_exec").SerializeToString()[:-3]) is EventRefusalReason.MALFORMED


def test_outcome_is_refused_as_invalid_utf8_when_only_a_text_is_wrong() -> None:
    """A well-formed message with a text that is not UTF-8 is told from a malformed one, at any depth."""
    raw = _event("process_exec", exec_id="X" * 8).SerializeToString()

    assert _refusal(raw.replace(b"XXXXXXXX", b"XXX\xff\xfeXXX")) is EventRefusalReason.INVALID_UTF8
    assert _refusal(raw.replace(b"node-a", b"nod\xff-a")) is EventRefusalReason.INVALID_UTF8


def test_outcome_is_refused_when_the_kind_is_not_known() -> None:
    """An event of another edition of Tetragon, in a reserved number, is dead-lettered and not guessed."""
    enterprise = bytes([2 << 3 | 2, 2, 0x0A, 0x00])

    assert (
        _refusal(enterprise + GetEventsResponse(node_name="n").SerializeToString()) is EventRefusalReason.NO_KNOWN_KIND
    )


def test_outcome_is_refused_when_the_process_is_missing() -> None:
    """A call without a process has nobody who made it."""
    event = GetEventsResponse(process_kprobe=ProcessKprobe(function_name="f"))

    assert _refusal(event) is EventRefusalReason.MISSING_PROCESS


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(253_402_300_799, 0), (-253_402_300_799, 0), (0, -1), (0, 1_000_000_000)]
)
def test_outcome_is_refused_when_the_time_is_none_that_avro_can_hold(seconds: int, nanos: int) -> None:
    """A timestamp beyond 64-bit nanoseconds is refused, never wrapped."""
    event = _event("process_exec")
    event.time.seconds, event.time.nanos = seconds, nanos

    assert _refusal(event) is EventRefusalReason.TIME_OUT_OF_RANGE


def test_outcome_is_refused_when_the_event_is_absurdly_large() -> None:
    """Ten MiB of arguments are evidence in the raw topic and no call."""
    event = _event("process_exec")
    event.process_exec.process.arguments = "a" * (10 << 20)

    assert _refusal(event) is EventRefusalReason.OVERSIZED
    assert MAX_CALL_BYTES < 10 << 20


def test_outcome_is_refused_when_a_stack_has_absurdly_many_frames() -> None:
    """More frames than any kernel collects are refused before they cost anything."""
    event = _event("process_kprobe")
    event.process_kprobe.user_stack_trace.extend([StackTraceEntry()] * (MAX_STACK_FRAMES + 1))

    assert _refusal(event) is EventRefusalReason.TOO_MANY_FRAMES


def test_outcome_is_refused_when_an_event_has_absurdly_many_arguments() -> None:
    """The limit on repeated parts covers arguments, data and ancestors."""
    event = _event("process_lsm")
    event.process_lsm.args.extend([KprobeArgument(int_arg=1)] * (MAX_REPEATED_PARTS + 1))

    assert _refusal(event) is EventRefusalReason.TOO_MANY_PARTS


def test_timestamp_is_the_process_start_when_an_exec_has_no_time() -> None:
    """Older recordings carry no event time; an exec is the start of its process."""
    event = _event("process_exec", time=False)
    event.process_exec.process.start_time.seconds = 1_600_000_000

    found = _canonical(event)

    assert found.timestamp_ns == 1_600_000_000 * 10**9
    assert found.timestamp_source == canonical.TIMESTAMP_SOURCE_PROCESS_START


def test_timestamp_is_the_time_of_receipt_when_nothing_else_is_known() -> None:
    """A call without any time takes the raw record's Kafka timestamp and says so."""
    found = _canonical(_event("process_kprobe", time=False))

    assert found.timestamp_ns == RECEIPT_MS * 10**6
    assert found.timestamp_source == canonical.TIMESTAMP_SOURCE_RECEIPT


def test_timestamp_is_the_inner_time_when_only_an_exit_has_it() -> None:
    """process_exit carries a time of its own."""
    event = _event("process_exit", time=False)
    event.process_exit.time.seconds = 7

    assert _canonical(event).timestamp_ns == 7 * 10**9


def test_return_value_is_the_last_argument_when_the_policy_is_a_return_uprobe() -> None:
    """Tetragon appends a return uprobe's value to its arguments; with the map it becomes the return value."""
    event = _event("process_uprobe", policy_name="readline")
    event.process_uprobe.args.extend([KprobeArgument(int_arg=1), KprobeArgument(string_arg="typed")])

    found = _canonical(event, {"readline": HookKind.URETPROBE})

    assert [argument.type for argument in found.arguments] == ["int"]
    assert found.return_value.atoms[0].text == "typed"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("__x64_sys_openat", "sys_openat"),
        ("__arm64_sys_openat", "sys_openat"),
        ("__ia32_compat_sys_openat", "compat_sys_openat"),
        ("security_file_permission", "security_file_permission"),
        ("tcp_connect", "tcp_connect"),
    ],
)
def test_syscall_compares_across_architectures(function: str, expected: str) -> None:
    """The wrapper's prefix goes, so that one system call has one name on every host."""
    assert _canonical(_event("process_kprobe", function_name=function)).probe.syscall == expected


def test_process_id_is_opaque_and_shared_by_all_events_of_a_process() -> None:
    """The id is the same in an exec, in a kprobe and as a child's parent, and does not contain exec_id."""
    exec_id = "bm9kZS1hOjE6Mg=="
    as_exec = _canonical(_event("process_exec", exec_id=exec_id))
    as_kprobe = _canonical(_event("process_kprobe", exec_id=exec_id))
    child = _event("process_exec", exec_id="another")
    child.process_exec.process.parent_exec_id = exec_id

    identity = as_exec.process.process_id
    assert identity == as_kprobe.process.process_id == _canonical(child).process.parent_process_id
    assert len(identity) == 32
    assert exec_id.encode() not in as_exec.SerializeToString()


def test_environment_variables_do_not_reach_the_canonical_event() -> None:
    """Environment values end at the raw topic, also those of parents and ancestors."""
    event = _event("process_exec")
    for process in (event.process_exec.process, event.process_exec.parent, event.process_exec.ancestors.add()):
        variable = process.environment_variables.add()
        variable.Key, variable.Value = "PGPASSWORD", "planted"

    outcome = _outcome(event)

    assert isinstance(outcome, Canonical)
    assert b"planted" not in outcome.value
    assert b"PGPASSWORD" not in outcome.value


def test_step_accounts_for_every_record_when_a_batch_is_mixed() -> None:
    """Outputs, skipped and dead letters together are the batch; positions name the refused."""
    throttle = GetEventsResponse()
    throttle.process_throttle.cgroup = "c"
    values = [_event("process_exec").SerializeToString(), b"\xff", throttle.SerializeToString(), None]
    records = [Record("tetragon.raw", 2, 40 + index, RECEIPT_MS, b"key", value) for index, value in enumerate(values)]

    result = CanonicalizeStep(Canonicalizer({}))(records)

    assert [(out.key, out.timestamp_ms) for out in result.outputs] == [(b"key", RECEIPT_MS)]
    assert result.skipped == {"throttle": 1}
    assert [(letter.offset, letter.reason) for letter in result.dead_letters] == [
        (41, "malformed_protobuf"),
        (43, "empty"),
    ]
    assert result.tally["probe_types", "1"] == 1


@pytest.mark.parametrize("role", ["process", "parent", "ancestors"])
def test_a_process_without_exec_id_is_one_of_its_node(role: str) -> None:
    """Every node has a pid 77: what is made of it differs by node and by cluster, and by nothing else."""
    canonicalizer = Canonicalizer({})

    def id_on(cluster: str, node: str, function: str) -> str:
        event = GetEventsResponse(node_name=node, cluster_name=cluster)
        event.time.seconds = 1_700_000_000
        body = event.process_kprobe
        body.function_name, body.message = function, "m" * 128  # long enough for the short way
        for process in (body.process, body.parent, body.ancestors.add()):
            process.exec_id = "bm9kZTox"
        process = body.ancestors[0] if role == "ancestors" else getattr(body, role)
        process.exec_id = ""
        process.pid.value = 77
        outcome = canonicalizer.canonicalize(event.SerializeToString(), 0, 0, RECEIPT_MS)
        assert isinstance(outcome, Canonical)
        found = canonical.CanonicalEvent.FromString(outcome.value)
        return found.ancestors[0].process_id if role == "ancestors" else getattr(found, role).process_id

    nodes = [("", "worker-0"), ("", "worker-1"), ("east", "worker-0"), ("west", "worker-0")]
    first = [id_on(*node, "sys_read") for node in nodes]
    again = [id_on(*node, "sys_write") for node in nodes]

    assert all(first)
    assert first == again
    assert len(set(first)) == len(nodes)


def test_a_process_with_exec_id_keeps_its_id_on_every_node() -> None:
    """The exec_id is Tetragon's own name of the process; the node adds nothing to it."""
    event = _event("process_exec")
    here = _canonical(event).process.process_id
    event.cluster_name = "east"

    assert _canonical(event).process.process_id == here
