"""The one table of kinds of event follows the Avro schema, canonical.proto and Tetragon's own messages."""

from schemas.canonical_pb2 import ProbeType
from schemas.probe_types import EVENT_LABELS, KRETPROBE, NOT_CALL_TYPES, PROBE_TYPES, UNKNOWN
from schemas.tetragon.events_pb2 import GetEventsResponse


def test_numbers_in_canonical_proto_are_indexes_of_the_avro_symbols() -> None:
    """PROBE_TYPE_PROCESS_EXEC = 1 is the symbol ProcessExec at index 1, and so on."""
    names = {number: name.removeprefix("PROBE_TYPE_").replace("_", "") for name, number in ProbeType.items()}
    assert names == {number: symbol.upper() for number, symbol in enumerate(PROBE_TYPES)}


def test_every_message_of_the_stream_has_a_label() -> None:
    """A body that a newer Tetragon adds must be named here before its events are counted by name."""
    assert set(EVENT_LABELS) == {field.name for field in GetEventsResponse.DESCRIPTOR.oneofs_by_name["event"].fields}
    assert set(EVENT_LABELS.values()) <= {*PROBE_TYPES, *NOT_CALL_TYPES}
    assert {UNKNOWN, KRETPROBE} <= set(PROBE_TYPES)
