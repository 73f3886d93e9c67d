"""One canonical event to one encoded call: the hot path of the privacy stage.

An event that only repeats another is found by its tail (repeats.py). Any other is read with its parts undecoded. Each
distinct part is filtered once (fields.py) and found again by its bytes. A call is the concatenation of filtered parts,
in the order of the schema's fields. One part that cannot be filtered refuses the whole event. Large events take the way
without caches, so an entry of a cache has a bounded size.
"""

from binascii import hexlify
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from agents.memo import Memo, Uncached
from agents.privacy.fields import FieldFilter, UnclearedError, filtered_array
from agents.privacy.filtered import FilteredPart, FilteredProbe, FilteredProcess
from agents.privacy.policy import Policy
from agents.privacy.redaction.answers import Hits, Redactor, TextRefusal, merged_hits
from agents.privacy.repeated_values import Forgetful, values_left
from agents.privacy.repeats import MAX_REMEMBERED_BYTES, Repeated, RepeatedEvents, head_of, middle_of, tail_of
from schemas import avro_wire
from schemas.canonical_parts_pb2 import CanonicalEventParts
from schemas.canonical_pb2 import CanonicalProbe, TimestampSource
from schemas.probe_types import PROBE_TYPES

MAX_CACHED_EVENT_BYTES: Final = 16_384
"""Bounds the key and value of every cache entry below; the mean canonical event has a tenth of it."""

# Two generations of each are kept, as in the canonicalize stage and for the same population.
_MAX_PROCESSES: Final = 16_384
_MAX_STACKS: Final = 16_384
_MAX_ARGUMENTS: Final = 65_536
_MAX_SMALL: Final = 4_096

_EVENT_ID_LENGTH: Final = avro_wire.long(32)

_MAX_VALUES: Final = 16  # sets of secrets that stand twice in an event; such events come one after another

_SPARED: Final = frozenset({"denied_field", "home", "user", "credential-path", "mapping", "address", "intricate"})
"""Rules whose masks hold no secret that could stand elsewhere."""

_THREADS: Final = 1 << 16


class FilteredCall(NamedTuple):
    """A filtered call: its key (the process id), its Avro body without framing, and the redactions by rule."""

    key: bytes
    body: bytes
    hits: Hits
    probe_type: int
    raw_offset: int


class CallRefused(NamedTuple):
    """An event that cannot be filtered. `error_class` names an exception class if one was the cause."""

    reason: str
    error_class: str | None


class PrivacyFilter:
    """Filters canonical events under one policy; the caches are its only state."""

    def __init__(self, policy: Policy, redactor: Redactor, *, says_snapshot: bool = True) -> None:
        """Calls have the field `symbol_snapshot`, except where `says_snapshot` is false, as before they had it."""

        def fields(asked: Redactor) -> Mapping[int, FieldFilter]:
            return {
                number: FieldFilter(policy, asked, symbol, says_snapshot=says_snapshot)
                for number, symbol in enumerate(PROBE_TYPES)
            }

        self._redactor = redactor
        self._cached = _Calls(policy, fields(redactor), Memo)
        self._uncached = _Calls(policy, fields(redactor), Uncached)
        self._without: Memo[tuple[str, ...], _Calls] = Memo(
            lambda values: _Calls(policy, fields(Forgetful(redactor, values)), Uncached), _MAX_VALUES
        )
        self._repeats = RepeatedEvents()

    def filter(self, canonical: bytes | None) -> FilteredCall | CallRefused:
        """What may leave of one canonical event (an encoded callstream.CanonicalEvent)."""
        if not canonical:
            return CallRefused("empty", None)
        if len(canonical) > MAX_REMEMBERED_BYTES or (head := head_of(canonical)) is None:
            return self._looked_up(canonical)
        tail = tail_of(canonical)
        repeated = self._repeats.find(tail)
        if repeated is None:
            outcome = self._looked_up(canonical)
            if isinstance(outcome, FilteredCall) and (middle := middle_of(outcome.body, head)) is not None:
                self._repeats.remember(tail, Repeated(outcome.key, middle, outcome.hits, outcome.probe_type))
            return outcome
        key, middle, hits, probe_type = repeated
        return FilteredCall(key, head.beginning + middle + head.ending, hits, probe_type, head.raw_offset)

    def _looked_up(self, canonical: bytes) -> FilteredCall | CallRefused:
        """The same, part by part."""
        calls = self._cached if len(canonical) <= MAX_CACHED_EVENT_BYTES else self._uncached
        try:
            event = CanonicalEventParts.FromString(canonical)
            call = calls.filter(event)
            is_plain = _SPARED.issuperset(rule for rule, _ in call.hits)
            values = () if is_plain else values_left(event, self._redactor)
            return self._without[values].filter(event) if values else call
        except UnclearedError as error:
            return CallRefused(error.refusal.value, None)
        except DecodeError as error:
            return CallRefused("malformed_canonical", type(error).__name__)


_SurroundingsKey = tuple[bytes, bytes, bytes | None, bytes, bytes]
"""Canonical bytes of process, workload, parent (None without a parent), exit and node."""


class _Surroundings(NamedTuple):
    """What events of one process have in common, on both sides of the probe's target, and the record's key."""

    workload: bytes
    rest: bytes
    """process, parent, node and exit"""
    hits: Hits
    process_id: bytes


class _Profile:
    """Filtered parts under one set of allowed fields, by their canonical bytes."""

    def __init__(self, fields: FieldFilter, remember: Any) -> None:
        self.processes: dict[bytes, FilteredProcess] = remember(
            lambda encoded: fields.process(encoded, "process"), _MAX_PROCESSES
        )
        self.parents: dict[bytes, FilteredPart] = remember(
            lambda encoded: _present(fields.process(encoded, "parent")), _MAX_PROCESSES
        )
        self.workloads: dict[bytes, FilteredPart] = remember(fields.workload, _MAX_SMALL)
        self.stacks: dict[bytes, FilteredPart] = remember(fields.stack, _MAX_STACKS)
        self.exits: dict[bytes, FilteredPart] = remember(fields.exit, _MAX_SMALL)
        self.nodes: dict[bytes, FilteredPart] = remember(fields.node, _MAX_SMALL)
        self.returns: dict[bytes, FilteredPart] = remember(
            lambda encoded: _present(fields.argument(encoded, "return_value")), _MAX_SMALL
        )
        self.surroundings: dict[_SurroundingsKey, _Surroundings] = remember(self._surrounding, _MAX_PROCESSES)
        self.arguments = _lists(lambda encoded: fields.argument(encoded, "call_arguments"), _MAX_ARGUMENTS, remember)
        self.data = _lists(lambda encoded: fields.argument(encoded, "call_data"), _MAX_SMALL, remember)
        self.ancestors = _lists(
            lambda encoded: FilteredPart(*fields.process(encoded, "ancestors")[:2]), _MAX_SMALL, remember
        )

    def _surrounding(self, key: _SurroundingsKey) -> _Surroundings:
        """Five look-ups in one: a process's events mostly agree in all of them."""
        process = self.processes[key[0]]
        workload = self.workloads[key[1]]
        parent = _ABSENT if key[2] is None else self.parents[key[2]]
        exit_, node = self.exits[key[3]], self.nodes[key[4]]
        return _Surroundings(
            workload.avro,
            process.avro + parent.avro + node.avro + exit_.avro,
            merged_hits([process.hits, workload.hits, parent.hits, exit_.hits, node.hits]),
            process.process_id,
        )


def _lists(
    one: Callable[[bytes], FilteredPart], max_entries: int, remember: Any
) -> dict[tuple[bytes, ...], FilteredPart]:
    """Arrays by their items' canonical bytes; a new array is put together from remembered items."""
    items: dict[bytes, FilteredPart] = remember(one, max_entries)

    found: dict[tuple[bytes, ...], FilteredPart] = remember(
        lambda encoded: filtered_array([items[item] for item in encoded]), max_entries
    )
    return found


def _present(part: FilteredPart | FilteredProcess) -> FilteredPart:
    return FilteredPart(avro_wire.PRESENT + part.avro, part.hits)


class _Calls:
    """The hot path, with caches or without."""

    def __init__(self, policy: Policy, fields: Mapping[int, FieldFilter], remember: Any) -> None:
        shared: dict[Hashable, _Profile] = {}
        self._profiles = {
            number: shared.setdefault(policy.profile(symbol), _Profile(fields[number], remember))
            for number, symbol in enumerate(PROBE_TYPES)
        }
        self._policy_id = avro_wire.text(policy.policy_id)

        def probe(encoded: bytes) -> FilteredProbe:
            probe_type = CanonicalProbe.FromString(encoded).probe_type
            if probe_type not in fields:
                raise UnclearedError(TextRefusal.UNKNOWN_KIND)
            return fields[probe_type].probe(encoded)

        self._probes: dict[bytes, FilteredProbe] = remember(probe, _MAX_SMALL)
        self._redactions: dict[tuple[Hits, ...], tuple[Hits, bytes]] = remember(self._redaction, _MAX_SMALL)
        self._timestamp_sources: dict[int, bytes] = remember(_timestamp_source, _MAX_SMALL)
        self._threads: dict[int, bytes] = remember(lambda tid: avro_wire.PRESENT + avro_wire.long(tid), _THREADS)

    def filter(self, event: CanonicalEventParts) -> FilteredCall:
        """Look every part up and join what may leave. Raises UnclearedError, or DecodeError for malformed parts."""
        probe_type, type_avro, target, details, probe_hits = self._probes[event.probe]
        profile, has = self._profiles[probe_type], event.HasField
        workload, rest, surrounding_hits, process_id = profile.surroundings[
            event.process, event.workload, event.parent if has("parent") else None, event.exit, event.node
        ]
        stack, stack_hits = profile.stacks[event.stack]
        returned, returned_hits = profile.returns[event.return_value] if has("return_value") else _ABSENT
        # most arrays are empty, and an empty one is cheaper to see than to look up
        ancestors, ancestor_hits = profile.ancestors[tuple(many[:])] if (many := event.ancestors) else _NOTHING
        arguments, argument_hits = profile.arguments[tuple(many[:])] if (many := event.arguments) else _NOTHING
        data, data_hits = profile.data[tuple(many[:])] if (many := event.data) else _NOTHING
        hits, redaction = self._redactions[
            probe_hits, surrounding_hits, stack_hits, returned_hits, ancestor_hits, argument_hits, data_hits
        ]
        raw_offset = event.raw_offset
        body = b"".join(
            (
                _EVENT_ID_LENGTH,
                hexlify(event.event_id),
                avro_wire.long(event.timestamp_ns),
                type_avro,
                stack,
                workload,
                target,
                rest,
                ancestors,
                self._threads[event.tid] if has("tid") else avro_wire.NULL,
                self._timestamp_sources[event.timestamp_source],
                details,
                arguments,
                data,
                returned,
                redaction,
                avro_wire.long(event.raw_partition),
                avro_wire.long(raw_offset),
            )
        )
        return FilteredCall(process_id, body, hits, probe_type, raw_offset)

    def _redaction(self, many: tuple[Hits, ...]) -> tuple[Hits, bytes]:
        """The `redaction` record, and its counts by rule."""
        hits = merged_hits(many)
        counts = avro_wire.sized_array([avro_wire.text(rule) + avro_wire.long(count) for rule, count in hits])
        return hits, self._policy_id + counts


def _timestamp_source(number: int) -> bytes:
    if number not in TimestampSource.values():
        raise UnclearedError(TextRefusal.UNKNOWN_KIND)
    return avro_wire.long(number)


_ABSENT: Final = FilteredPart(avro_wire.NULL, ())
_NOTHING: Final = FilteredPart(avro_wire.END_OF_BLOCKS, ())
