"""The fast way to read a call: parts are recognized by their bytes, and nothing is decoded that was met before.

A call is regular if it is laid out as the privacy stage lays calls out: an id of 32 characters, a time of nine bytes,
the stack in one block with its size. Of such a call the stack is looked up as a whole, the workload behind it is
compared with what came last after the same first bytes, and the raw offset is read from the end. Nothing else is looked
at, but for user probes and executions, where the probe's target or the binary is evidence too. Any other call is
refused, and somebody else decodes it at twenty times the cost. What is skipped is trusted to be whole: Kafka checks
what it stores, and one stage writes the topic. This module refuses to know what is counted.
"""

from collections.abc import Callable
from struct import Struct, error
from typing import Final

from agents.hot_symbols.evidence import EventEvidence, Place, Touch, binary_touch, target_touch
from agents.hot_symbols.meaning import Meaning, Observation
from agents.memo import Memo
from schemas import avro_wire
from schemas.call_layout import CallLayout, MalformedCallError, RegularParts

KNOWN_STACKS: Final = 8_192
"""In each of two generations. Stacks of 12 frames have some 1 kB, the deepest that Tetragon sends 12 kB."""

KNOWN_WORKLOADS: Final = 4_096
"""In each of two generations. A node runs some hundred containers at a time; one takes some 500 bytes."""

_ID_CHARS: Final = 32
_TEXT_32: Final = avro_wire.long(_ID_CHARS)
_OPENING: Final = Struct(f"<{avro_wire.FRAME_BYTES + len(_TEXT_32)}s{_ID_CHARS}xQBBBBB")
"""Frame and the id's length; eight bytes of the time, the ninth; probe type; the stack's count and size (two bytes)."""

_STACK_AT: Final = _OPENING.size - 3
_MORE: Final = 0x80  # bit of every byte of an Avro number but the last
_EIGHT_MORE: Final = 0x8080808080808080
_EXEC: Final = 1 << 1
_USER_PROBES: Final = frozenset({5 << 1, 6 << 1})
"""Avro bytes of the symbols ProcessExec, Uprobe and Uretprobe of the enum ProbeType."""

_WORKLOAD_KEY_BYTES: Final = 40
"""A workload begins with the container's id; as much of it tells the containers of a cluster apart."""

_NEVER: Final = b"\xff" * 16
"""No part begins with it: an Avro number ends after ten bytes at the latest."""


class IrregularCall(Exception):  # noqa: N818 - no error: decode the call as a whole instead
    """The call is not laid out as regular calls are."""


NOT_REGULAR: Final = (IrregularCall, IndexError, error, MalformedCallError)
"""What reading a regular call raises on any other, bytes that end early among them."""


def refuse(_value: bytes) -> Observation:
    """Read no call at all: where a schema has no regular calls. Raises IrregularCall."""
    raise IrregularCall


def regular_reader(layout: CallLayout, meaning: Meaning) -> Callable[[bytes], Observation]:
    """A function that reads regular calls of one schema, with a bounded memory; it raises one of NOT_REGULAR on others.

    It is one pass without calls to functions of ours: a call costs some 60 ns, and this runs for every event.
    """
    if layout.regular is None:
        return refuse
    opening, frame = _OPENING.unpack_from, layout.frame + _TEXT_32
    workloads = _KnownWorkloads(layout.regular, meaning)
    workload_of, meet = workloads.by_key, workloads.meet
    evidence = _KnownEvidence(layout.regular, meaning)
    evidence_of, beside = evidence.alone, evidence.beside

    def read(value: bytes) -> Observation:
        head, low, high, probe, count, size, more = opening(value)
        if head != frame or low & (_EIGHT_MORE | 1) != _EIGHT_MORE or high >= _MORE:
            raise IrregularCall
        # Seven bits of the time are in each byte, the least significant first; the lowest bit is its sign.
        low = (low & 0x007F007F007F007F) | (low & 0x7F007F007F007F00) >> 1
        low = (low & 0x00003FFF00003FFF) | (low & 0x3FFF00003FFF0000) >> 2
        time_ns = (low & 0x0FFFFFFF | (low & 0x0FFFFFFF00000000) >> 4 | high << 56) >> 1

        if not count:
            at = _STACK_AT + 1
        elif not count & 1 or count >= _MORE or size & 1:  # no size in bytes follows, more than 64 frames, no size
            raise IrregularCall
        else:
            if size < _MORE:
                at = _STACK_AT + 2 + (size >> 1)
            elif more < _MORE:
                at = _STACK_AT + 3 + ((size & 0x7F | more << 7) >> 1)
            else:
                raise IrregularCall
            if value[at]:  # a second block
                raise IrregularCall
            at += 1
        stack = value[_STACK_AT:at]

        known = workload_of[value[at : at + _WORKLOAD_KEY_BYTES]]
        if not value.startswith(known.encoded, at):
            meet(value, at, known)

        # The last field, read backwards: of a number's bytes only the last has its high bit clear.
        offset, back = value[-1], -2
        while (byte := value[back]) >= _MORE:
            offset = offset << 7 | byte & 0x7F
            back -= 1
        offset = offset >> 1 ^ -(offset & 1)

        if probe == _EXEC or probe in _USER_PROBES:
            return offset, time_ns, beside(value, stack, at + len(known.encoded), probe), known.place
        return offset, time_ns, evidence_of[stack], known.place

    return read


class _Known:
    """What was met last after the same first bytes of a workload: all of its bytes, and the place that they name."""

    __slots__ = ("encoded", "place")

    def __init__(self) -> None:
        self.encoded = _NEVER
        self.place: Place


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
            raise IrregularCall
        encoded = value[at:end]
        known.place = self._meaning.place(self._part.decode(encoded))
        known.encoded = encoded


class _KnownEvidence:
    """What calls with equal stack bytes are evidence of: alone, under a user probe, in an execution."""

    def __init__(self, parts: RegularParts, meaning: Meaning) -> None:
        self._parts = parts
        self._meaning = meaning
        self.alone = Memo[bytes, EventEvidence](lambda stack: self._of(stack, None), KNOWN_STACKS)
        self._probed = Memo[tuple[bytes, bytes], EventEvidence](
            lambda key: self._of(key[0], self._target(key[1])), KNOWN_STACKS
        )
        self._executed = Memo[tuple[bytes, bytes], EventEvidence](
            lambda key: self._of(key[0], self._binary(key[1])), KNOWN_STACKS
        )

    def beside(self, value: bytes, stack: bytes, at: int, probe: int) -> EventEvidence:
        """The evidence of a user probe or an execution; `at` is where the target begins. Raises one of NOT_REGULAR."""
        end = self._parts.target.skip(value, at)
        if probe != _EXEC:
            return self._probed[stack, value[at:end]]
        at = self._parts.to_binary(value, end)
        end = self._parts.binary.skip(value, at)
        return self._executed[stack, value[at:end]]

    def _of(self, stack: bytes, extra: Touch | None) -> EventEvidence:
        return self._meaning.evidence(self._parts.stack.decode(stack)["stack_frames"], extra)

    def _target(self, encoded: bytes) -> Touch | None:
        target = self._parts.target.decode(encoded)["probe_target"]
        return None if target is None else target_touch(target)

    def _binary(self, encoded: bytes) -> Touch | None:
        binary = self._parts.binary.decode(encoded)["binary"]
        return binary_touch(binary) if binary else None
