"""agents/privacy/calls.py: what is laid out from remembered parts is the record that the schema describes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.privacy.calls import CallRefused, FilteredCall, PrivacyFilter
from schemas import avro_wire, records
from schemas.canonical_pb2 import CanonicalEvent, FrameResolution, OffsetBasis, TimestampSource
from schemas.probe_types import PROBE_TYPES
from tests.support.messages import messages
from tests.support.open_policy import OpenPolicy, OpenRedactor


@st.composite
def canonical_events(draw: st.DrawFn) -> Any:
    """A canonical event as the stage before writes them: ids of 16 bytes, enums within their range."""
    event = draw(messages(CanonicalEvent))
    event.event_id = draw(st.binary(min_size=16, max_size=16))
    event.process.process_id = draw(st.text("0123456789abcdef", min_size=32, max_size=32))
    event.timestamp_source = draw(st.sampled_from(TimestampSource.values()))
    event.probe.probe_type = draw(st.integers(0, len(PROBE_TYPES) - 1))
    if event.probe.HasField("target"):
        event.probe.target.offset_basis = draw(st.sampled_from(OffsetBasis.values()))
    for frame in event.stack.frames:
        frame.offset_basis = draw(st.sampled_from(OffsetBasis.values()))
        frame.resolution = draw(st.sampled_from(FrameResolution.values()))
    return event


def _decoded(event: CanonicalEvent) -> dict[str, Any]:
    outcome = PrivacyFilter(OpenPolicy(), OpenRedactor()).filter(event.SerializeToString())
    assert isinstance(outcome, FilteredCall), outcome
    return records.decode(records.CALL, avro_wire.schema_header(1) + outcome.body)


@given(event=canonical_events())
def test_call_is_read_back_by_fastavro(event: CanonicalEvent) -> None:
    """Every field arrives where the schema says, whatever is absent."""
    call = _decoded(event)

    assert call["event_id"] == event.event_id.hex()
    assert call["timestamp_ns"] == event.timestamp_ns
    assert call["probe_type"] == PROBE_TYPES[event.probe.probe_type]
    assert call["syscall"] == event.probe.syscall
    assert call["thread"] == ({"tid": event.tid} if event.HasField("tid") else None)
    assert call["source"] == {"partition": event.raw_partition, "offset": event.raw_offset}
    assert call["tags"] == list(event.probe.tags)
    assert call["exit_status"] == (event.exit.status if event.exit.HasField("status") else None)
    for name in ("container_id", "pod_name", "namespace", "image_id", "image_name", "workload", "workload_kind"):
        assert call[name] == (getattr(event.workload, name) or None)
    assert (call["parent"] is not None) == event.HasField("parent")
    assert (call["return_value"] is not None) == event.HasField("return_value")
    assert [item["type"] for item in call["call_arguments"]] == [item.type for item in event.arguments]
    assert [item["type"] for item in call["call_data"]] == [item.type for item in event.data]


@given(event=canonical_events())
def test_processes_are_read_back_by_fastavro(event: CanonicalEvent) -> None:
    """Process, parent and ancestors have the same form."""
    call = _decoded(event)
    parents = [call["parent"]] if event.HasField("parent") else []
    sent = [event.process, *([event.parent] if parents else []), *event.ancestors]

    for found, process in zip([call["process"], *parents, *call["ancestors"]], sent, strict=True):
        assert found["process_id"] == process.process_id
        assert found["pid"] == (process.pid if process.HasField("pid") else None)
        assert found["start_time_ns"] == (process.start_time_ns if process.HasField("start_time_ns") else None)
        for name in ("parent_process_id", "binary", "arguments", "cwd", "user", "flags"):
            assert found[name] == (getattr(process, name) or None)


@given(event=canonical_events())
def test_frames_are_read_back_by_fastavro(event: CanonicalEvent) -> None:
    """A stack keeps its order and every field of its frames."""
    for found, frame in zip(_decoded(event)["stack_frames"], event.stack.frames, strict=True):
        assert found["module"] == frame.module
        assert found["symbol"] == frame.symbol
        assert found["offset"] == frame.offset
        assert found["is_kernel_space"] == frame.is_kernel_space
        assert found["line_number"] == (frame.line_number if frame.HasField("line_number") else None)
        assert f"OFFSET_BASIS_{found['offset_basis'].upper()}" == OffsetBasis.Name(frame.offset_basis)
        assert FrameResolution.Name(frame.resolution).replace("_", "").endswith(found["resolution"].upper())
        for name in ("source_file", "build_id", "symbol_hint"):
            assert found[name] == (getattr(frame, name) or None)


@given(raw=st.binary(max_size=300))
def test_filter_never_raises_when_given_arbitrary_bytes(raw: bytes) -> None:
    """Garbage is refused with a reason, or is an event that says little."""
    assert isinstance(PrivacyFilter(OpenPolicy(), OpenRedactor()).filter(raw), FilteredCall | CallRefused)


@given(event=canonical_events())
def test_filter_gives_the_same_bytes_when_caches_are_warm(event: CanonicalEvent) -> None:
    """A hit and a miss give the same call."""
    privacy_filter = PrivacyFilter(OpenPolicy(), OpenRedactor())
    raw = event.SerializeToString()

    assert privacy_filter.filter(raw) == privacy_filter.filter(raw)
