"""The fast way to read a call: parts are recognized by their bytes, and nothing is decoded that was met before.

A call is regular if it is laid out as the privacy stage lays calls out: an id of 32 characters, a time of nine bytes,
the stack in one block with its size. For example (a test compares these bytes with an encoded call):

      at  bytes                        meaning
       0  00 00 00 00 07               schema header: schema id 7
       5  40                           length of the event id: 32, because Avro doubles numbers that are not negative
       6  30 31 32 33                  the first four of its 32 characters
      38  aa b4 ae d8 c7 bf ce 97 2f   timestamp_ns, see times.py, which keeps it with the id as one piece; every byte
                                       but the last has its high bit set
      47  06                           probe type: symbol 3 of the enum, Kprobe
      48  01                           stack: -1, so one frame, and the size of the block follows
      49  1a                           the block has 13 bytes
      50  04 2f 61 02 66               the frame begins: module "/a", symbol "f"
      63  00                           no further block: the stack ends
      64  00                           no snapshot of a symbol store named it; 02 80 01 and 64 digits are one
      65  00 00 02 08 73 68 6f 70      workload: no container id, no pod name, namespace "shop"
      78  00                           no probe target; the process and all other fields follow
      -3  06                           raw partition: 3
      -2  d8 04                        raw offset: 300, doubled, in groups of seven bits

Of such a call the stack (48 to 64) is looked up as a whole, the workload behind it is compared with what came last
after the same first bytes, and the raw offset is read from the end. Nothing else matters, except for user probes and
executions, where the probe's target or the binary is evidence too. Every other call is left to observations.py, which
decodes it at twenty times the cost. Bytes that are skipped are trusted to be whole: Kafka checks what it stores, and
one stage writes the topic.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from struct import Struct, error
from typing import Final, NamedTuple

from agents.contract import SourceRecord
from agents.hot_symbols.reading.evidence import EventEvidence, EventPlace, Touch, binary_touch, target_touch
from agents.hot_symbols.reading.gathering import Gathered
from agents.hot_symbols.reading.meaning import Meaning
from agents.memo import Memo
from schemas import avro_wire
from schemas.call_layout import SNAPSHOT, CallLayout, MalformedCallError, RegularParts

KNOWN_STACKS: Final = 8_192
"""In each of two generations. Stacks of 12 frames have some 1 kB, the deepest that Tetragon sends 12 kB."""

KNOWN_WORKLOADS: Final = 4_096
"""In each of two generations. A node runs some hundred containers at a time; one takes some 500 bytes."""

_ID_CHARS: Final = 32
_TEXT_32: Final = avro_wire.long(_ID_CHARS)
_OPENING: Final = Struct(f"<{avro_wire.SCHEMA_HEADER_BYTES + len(_TEXT_32)}s{_ID_CHARS}xQBBBBB")
"""What stands before the workload, up to the stack's size; see the example above."""

_STACK_AT: Final = _OPENING.size - 3
_TIME_END: Final = _STACK_AT - 2
_BEFORE_ID: Final = _TIME_END - 9 - _ID_CHARS
"""Positions of the stack, of the time's last byte, and of the byte before the id, which the time follows."""

_MORE: Final = 0x80  # bit of every byte of an Avro number but the last
_EIGHT_MORE: Final = 0x8080808080808080
_EIGHT_MORE_OR_SIGN: Final = _EIGHT_MORE | 1
_EXEC: Final = 1 << 1
_MORE_EVIDENCE: Final = frozenset({_EXEC, 5 << 1, 6 << 1})
"""Avro bytes of the symbols ProcessExec, Uprobe and Uretprobe of the enum ProbeType: evidence besides the stack."""

_WORKLOAD_KEY_BYTES: Final = 40
"""A workload begins with the container's id; as much of it tells the containers of a cluster apart."""

_SNAPSHOT: Final = avro_wire.PRESENT + avro_wire.long(64)
_SNAPSHOT_BYTES: Final = len(_SNAPSHOT) + 64
"""A snapshot's digest as a field of a call: it belongs to what a call's stack says."""

_NEVER: Final = b"\xff" * 16
"""No part begins with it: an Avro number ends after ten bytes at the latest."""


class _IrregularCall(Exception):  # noqa: N818 - not an error: the call is decoded as a whole instead
    """The call is not laid out as regular calls are."""


_NOT_REGULAR: Final = (_IrregularCall, IndexError, error, MalformedCallError)
"""What reading a regular call raises on any other, bytes that end early among them."""

GatherRegular = Callable[[Sequence[SourceRecord], int, Gathered], int]
"""Takes records of one partition from an index on, and returns the index of the first that is not regular."""


def gather_none(_records: Sequence[SourceRecord], begin: int, _gathered: Gathered) -> int:
    """Take no call: where a schema has no regular ones."""
    return begin


def regular_gatherer(layout: CallLayout, meaning: Meaning) -> GatherRegular:  # noqa: C901, PLR0915 - one loop
    """A function that gathers regular calls of one schema, with a bounded memory.

    It is one loop without calls to functions of ours: a call costs some 60 ns, and this runs for every event.
    """
    if layout.regular is None:
        return gather_none
    opening, beginning = _OPENING.unpack_from, layout.schema_header + _TEXT_32
    workloads = _KnownWorkloads(layout.regular, meaning)
    workload_of, meet = workloads.by_key, workloads.meet
    evidence = _KnownEvidence(layout.regular, meaning)
    evidence_of, beside = evidence.by_look, evidence.beside
    has_snapshot = layout.regular.has_snapshot

    def gather(records: Sequence[SourceRecord], begin: int, gathered: Gathered) -> int:  # noqa: C901, PLR0912, PLR0915
        looks, highest = gathered.looks, gathered.highest
        partition = None if gathered.partition is None else avro_wire.long(gathered.partition)[-1]
        index, repeated = begin, 0
        try:
            for record in islice(records, begin, None):
                value = record.value or b""
                head, low, high, probe, count, size, more = opening(value)
                # One comparison for eight bytes of the time: all have their high bit set, and the lowest bit, Avro's
                # sign, is clear. The ninth has its high bit clear and is not zero, so the time has exactly nine bytes.
                if head != beginning or low & _EIGHT_MORE_OR_SIGN != _EIGHT_MORE or not 0 < high < _MORE:
                    raise _IrregularCall

                if not count:
                    at = _STACK_AT + 1
                elif not count & 1 or count >= _MORE or size & 1:  # no size in bytes, more than 64 frames
                    raise _IrregularCall
                else:
                    if size < _MORE:
                        at = _STACK_AT + 2 + (size >> 1)
                    elif more < _MORE:
                        at = _STACK_AT + 3 + ((size & 0x7F | more << 7) >> 1)
                    else:
                        raise _IrregularCall
                    if value[at]:  # a second block
                        raise _IrregularCall
                    at += 1
                if has_snapshot:
                    if not value[at]:
                        at += 1
                    elif value.startswith(_SNAPSHOT, at):
                        at += _SNAPSHOT_BYTES
                    else:
                        raise _IrregularCall

                known = workload_of[value[at : at + _WORKLOAD_KEY_BYTES]]
                if not value.startswith(known.encoded, at):
                    meet(value, at, known)

                # The last field, read backwards: of a number's bytes only the last has its high bit clear. In the
                # example 04 and then d8 make 0x04 << 7 | 0x58 = 600; 06 has its high bit clear, so it is the
                # partition's last byte.
                offset, back = value[-1], -2
                while (byte := value[back]) >= _MORE:
                    offset = offset << 7 | byte & 0x7F
                    back -= 1
                if offset & 1 or (byte != partition and partition is not None):  # negative, or bytes are missing
                    raise _IrregularCall
                offset >>= 1
                if offset <= highest:
                    repeated += 1
                    index += 1
                    continue

                look: Look = value[_STACK_AT:at]
                if probe in _MORE_EVIDENCE:
                    look = beside(value, at, at + len(known.encoded), probe)
                kinds = looks[known.place]
                kind = kinds.get(look)
                if kind is None:
                    kind = kinds[look] = gathered.kind(evidence_of[look], known.place)
                highest = offset
                kind.moments.append(value[_TIME_END:_BEFORE_ID:-1])
                kind.offsets.append(offset)
                index += 1
        except _NOT_REGULAR:
            pass
        gathered.highest = highest
        gathered.repeated += repeated
        gathered.counted += index - begin - repeated
        return index

    return gather


class _Known:
    """What was met last after the same first bytes of a workload: all of its bytes, and the place that they name."""

    __slots__ = ("encoded", "place")

    def __init__(self) -> None:
        self.encoded = _NEVER
        self.place: EventPlace


class _KnownWorkloads:
    """Workloads by their first bytes."""

    def __init__(self, parts: RegularParts, meaning: Meaning) -> None:
        self._part = parts.workload
        self._meaning = meaning
        self.by_key = Memo[bytes, _Known](lambda _: _Known(), KNOWN_WORKLOADS)

    def meet(self, value: bytes, at: int, known: _Known) -> None:
        """Remember a workload that is new after its first bytes. Raises one of NOT_REGULAR."""
        end = self._part.skip(value, at)
        if end >= len(value):
            raise _IrregularCall
        encoded = value[at:end]
        known.place = self._meaning.place(self._part.decode(encoded))
        known.encoded = encoded


class Beside(NamedTuple):
    """A stack's bytes with those of the target of a user probe, or of the binary of an execution; others are empty."""

    stack: bytes
    target: bytes = b""
    binary: bytes = b""


Look = bytes | Beside
"""What decides the evidence of a call: its stack's bytes, and what else counts."""


class _KnownEvidence:
    """What calls that look equal are evidence of."""

    def __init__(self, parts: RegularParts, meaning: Meaning) -> None:
        self._parts = parts
        self._meaning = meaning
        self.by_look = Memo[Look, EventEvidence](self._of, KNOWN_STACKS)

    def beside(self, value: bytes, stack_end: int, at: int, probe: int) -> Beside:
        """The look of a user probe or an execution; `at` is where the target begins. Raises one of _NOT_REGULAR."""
        stack, end = value[_STACK_AT:stack_end], self._parts.target.skip(value, at)
        if probe != _EXEC:
            return Beside(stack, target=value[at:end])
        at = self._parts.to_binary(value, end)
        return Beside(stack, binary=value[at : self._parts.binary.skip(value, at)])

    def _of(self, look: Look) -> EventEvidence:
        stack = self._parts.stack.decode(look if isinstance(look, bytes) else look.stack)
        snapshot = stack[SNAPSHOT]
        extra = None if isinstance(look, bytes) else self._beside(look, snapshot)
        return self._meaning.evidence(stack["stack_frames"], snapshot, extra)

    def _beside(self, look: Beside, snapshot: str | None) -> Touch | None:
        if look.target:
            target = self._parts.target.decode(look.target)["probe_target"]
            return None if target is None else target_touch(target, snapshot)
        binary = self._parts.binary.decode(look.binary)["binary"]
        return binary_touch(binary) if binary else None
