"""The fast way to read a call: parts are recognized by their bytes, and nothing is decoded that was met before.

A call is regular if it is laid out as the privacy stage lays calls out: ids of 32 characters, a time of nine bytes, the
stack in one block with its size. Of such a call the process with its neighbours is compared with what came last under
the same process id, the stack is looked up as a whole, what lies between is skipped (schemas/call_layout.py says where
it lies), and the raw offset is read from the end. Any other call is refused, and somebody else decodes it at twenty
times the cost. What is skipped is trusted to be whole: Kafka checks what it stores, and one stage writes the topic.
This module refuses to know what is counted.
"""

from collections.abc import Callable
from struct import Struct, error
from typing import Any, Final

from agents.hot_symbols.evidence import EventEvidence, Place, Touch, binary_touch, target_touch
from agents.hot_symbols.meaning import Meaning, Observation
from agents.memo import Memo
from schemas import avro_wire
from schemas.call_layout import CallLayout, MalformedCallError, RegularParts

KNOWN_PROCESSES: Final = 16_384
"""In each of two generations. A node runs some hundred processes at a time; one takes some 2 kB with its ancestors: 64
MB at most."""

KNOWN_STACKS: Final = 8_192
"""In each of two generations. Stacks of 12 frames have some 1 kB, the deepest that Tetragon sends 12 kB."""

_ID_CHARS: Final = 32
_TEXT_32: Final = avro_wire.long(_ID_CHARS)
_HEAD_BYTES: Final = avro_wire.FRAME_BYTES + len(_TEXT_32)
_TIME_AT: Final = _HEAD_BYTES + _ID_CHARS
_TIME_BYTES: Final = 9  # times from 1971 to 2116
_PROBE_AT: Final = _TIME_AT + _TIME_BYTES
_PROCESS_AT: Final = _PROBE_AT + 1
_ID_AT: Final = _PROCESS_AT + len(_TEXT_32)
_ID_END: Final = _ID_AT + _ID_CHARS
"""Positions in a call: frame, event id, time, probe type, process, whose first field is its id."""

_EIGHT_BYTES: Final = Struct("<Q")
_MORE: Final = 0x80  # bit of every byte of an Avro number but the last
_EIGHT_MORE: Final = 0x8080808080808080
_EXEC: Final = 1 << 1
_USER_PROBES: Final = frozenset({5 << 1, 6 << 1})
"""Avro bytes of the symbols ProcessExec, Uprobe and Uretprobe of the enum ProbeType."""

_NULL: Final = avro_wire.NULL
_NEVER: Final = b"\xff" * 16
"""No part begins with it: an Avro number ends after ten bytes at the latest."""


class _Known:
    """What was met last under one process id: fragments, and what they mean."""

    __slots__ = ("binary", "fragments", "opening", "place")

    def __init__(self, fragments: int) -> None:
        self.opening = _NEVER
        self.fragments = [_NEVER] * fragments
        self.binary: str | None = None
        self.place: Place | None = None


class IrregularCall(Exception):  # noqa: N818 - no error: decode the call as a whole instead
    """The call is not laid out as regular calls are."""


NOT_REGULAR: Final = (IrregularCall, IndexError, error, MalformedCallError)
"""What reading a regular call raises on any other, bytes that end early among them."""


def refuse(_value: bytes) -> Observation:
    """Read no call at all: where a schema has no regular calls. Raises IrregularCall."""
    raise IrregularCall


def regular_reader(layout: CallLayout, meaning: Meaning) -> Callable[[bytes], Observation]:  # noqa: C901, PLR0915 - one pass
    """A function that reads regular calls of one schema, with a bounded memory; it raises one of NOT_REGULAR on others.

    It is one pass without calls to functions of ours: a call costs some 60 ns, and this runs for every event.
    """
    if layout.regular is None:
        return refuse
    parts = layout.regular
    stretches, skip_target = parts.stretches, parts.target.skip
    known_of = _KnownProcesses(parts, meaning)
    processes, meet, binary_of, place_of = known_of.by_id, known_of.meet, known_of.binary, known_of.place
    evidence = _KnownStacks(parts, meaning)
    stacks, probed, executed = evidence.alone, evidence.probed, evidence.executed
    head = layout.frame + _TEXT_32
    eight_bytes = _EIGHT_BYTES.unpack_from

    def read(value: bytes) -> Observation:  # noqa: C901, PLR0912, PLR0915 - see above
        low, high = eight_bytes(value, _TIME_AT)[0], value[_TIME_AT + 8]
        if low & (_EIGHT_MORE | 1) != _EIGHT_MORE or high >= _MORE or value[:_HEAD_BYTES] != head:
            raise IrregularCall
        # Seven bits of the time are in each byte, the least significant first; the lowest bit is its sign.
        low = (low & 0x007F007F007F007F) | (low & 0x7F007F007F007F00) >> 1
        low = (low & 0x00003FFF00003FFF) | (low & 0x3FFF00003FFF0000) >> 2
        time_ns = (low & 0x0FFFFFFF | (low & 0x0FFFFFFF00000000) >> 4 | high << 56) >> 1

        known = processes[value[_ID_AT:_ID_END]]
        if not value.startswith(known.opening, _PROCESS_AT):
            meet(value, _PROCESS_AT, known, 0)
        at = _PROCESS_AT + len(known.opening)

        if value[at]:  # a thread
            at += 1
            while value[at] >= _MORE:
                at += 1
        size = value[at + 1]  # of the syscall's name
        if size >= _MORE:
            raise IrregularCall
        at += 2 + (size >> 1)

        stack_at, count = at, value[at]
        if count:
            if not count & 1:  # not negative: no size in bytes follows
                raise IrregularCall
            if count >= _MORE:
                at += 1
                count = value[at]
            at += 1
            size = value[at]
            if size >= _MORE:
                at += 1
                size = size & 0x7F | value[at] << 7
                if size >= 0x4000:  # a bit of the second byte that says: there is a third
                    at += 1
                    size = size & 0x3FFF | value[at] << 14
            at += 1 + (size >> 1)
            if count >= _MORE or size >= 0x200000 or size & 1 or value[at]:  # more bytes, no size, or a second block
                raise IrregularCall
        at += 1
        stack, target = value[stack_at:at], _NULL

        for skips, fragment in stretches:
            for skip in skips:
                at = skip(value, at) if value[at] else at + 1
            if fragment is not None:
                if not value.startswith(known.fragments[fragment], at):
                    meet(value, at, known, fragment)
                at += len(known.fragments[fragment])
            elif value[at]:
                target_at, at = at, skip_target(value, at)
                target = value[target_at:at]
            else:
                at += 1

        # The last field, read backwards: of a number's bytes only the last has its high bit clear.
        offset, at = value[-1], -2
        while (byte := value[at]) >= _MORE:
            offset = offset << 7 | byte & 0x7F
            at -= 1
        offset = offset >> 1 ^ -(offset & 1)

        place = known.place or place_of(known)
        probe = value[_PROBE_AT]
        if target != _NULL and probe in _USER_PROBES:
            return offset, time_ns, probed[stack, target], place
        if probe == _EXEC:
            binary = known.binary if known.binary is not None else binary_of(known)
            if binary:
                return offset, time_ns, executed[stack, binary], place
        return offset, time_ns, stacks[stack], place

    return read


class _KnownProcesses:
    """What processes had in common from call to call, by process id."""

    def __init__(self, parts: RegularParts, meaning: Meaning) -> None:
        self._process = parts.process
        self._fragments = parts.fragments
        self._meaning = meaning
        self.by_id = Memo[bytes, _Known](lambda _: _Known(len(parts.fragments)), KNOWN_PROCESSES)

    def meet(self, value: bytes, at: int, known: _Known, fragment: int) -> None:
        """Remember a fragment that is new under its process id. Raises one of NOT_REGULAR."""
        part = self._fragments[fragment]
        end = part.skip(value, at)
        if end >= len(value):
            raise IrregularCall
        known.fragments[fragment] = value[at:end]
        known.place = None
        if not fragment:
            known.opening = known.fragments[0]
            known.binary = None

    def binary(self, known: _Known) -> str:
        """Path of the process's binary; empty where the call does not say."""
        known.binary = self._process.decode(known.opening)["process"]["binary"] or ""
        return known.binary

    def place(self, known: _Known) -> Place:
        """The place that the fragments of a process name."""
        fields: dict[str, Any] = {}
        for part, encoded in zip(self._fragments, known.fragments, strict=True):
            fields |= part.decode(encoded)
        known.place = self._meaning.place(fields)
        return known.place


class _KnownStacks:
    """What calls with equal stack bytes are evidence of: alone, under a user probe, in an execution."""

    def __init__(self, parts: RegularParts, meaning: Meaning) -> None:
        self._parts = parts
        self._meaning = meaning
        self.alone = Memo[bytes, EventEvidence](lambda stack: self._of(stack, None), KNOWN_STACKS)
        self.probed = Memo[tuple[bytes, bytes], EventEvidence](
            lambda key: self._of(key[0], self._target(key[1])), KNOWN_STACKS
        )
        self.executed = Memo[tuple[bytes, str], EventEvidence](
            lambda key: self._of(key[0], binary_touch(key[1])), KNOWN_STACKS
        )

    def _of(self, stack: bytes, extra: Touch | None) -> EventEvidence:
        return self._meaning.evidence(self._parts.stack.decode(stack)["stack_frames"], extra)

    def _target(self, target: bytes) -> Touch:
        return target_touch(self._parts.target.decode(target)["probe_target"])
