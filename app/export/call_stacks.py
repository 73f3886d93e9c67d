"""Reads calls for their stacks and containers, and uses one object for equal stacks, frames and places.

The reading itself is that of the hot-symbol stage: it recognizes parts by their bytes
(agents/hot_symbols/reading/regular_calls.py). A user probe that fired is the innermost frame of its stack, if the agent
did not send it as a frame. An execution adds no frame.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from agents.hot_symbols.identity import EvidenceKind, parse_symbol_id
from agents.hot_symbols.reading.evidence import EventEvidence, EventPlace, Touch, place_of
from agents.hot_symbols.reading.meaning import PLACE_FIELDS, Meaning
from agents.hot_symbols.reading.observations import MAX_SCHEMAS, LayoutOf
from agents.memo import Memo
from app.export.call_tree import CallPlace
from app.export.stack_frames import PROBE, StackFrame
from schemas import avro_wire
from schemas.call_layout import CallLayout, read_long
from schemas.text_limits import cut_place

CONTAINER_FIELDS: Final = ("container_id", *PLACE_FIELDS)
"""Fields of a call that say where it happened, down to the container."""

STACK_FIELDS: Final = ("pod_name", *PLACE_FIELDS)
"""Fields of a call that say where it happened, down to the pod."""

_KINDS_OF_STACK: Final = 16_384
"""In each of two generations; a stack of 12 frames takes some 200 bytes, its frames are shared."""

_KINDS_OF_FRAME: Final = 65_536
"""In each of two generations; a frame takes some 400 bytes: 50 MB at most."""

_KINDS_OF_PLACE: Final = 16_384
"""In each of two generations, at some 300 bytes; a cluster has some thousand containers."""

_KINDS_OF_BINARY: Final = 16_384
"""In each of two generations, at some 100 bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Stack(EventEvidence):
    """The frames of one kind of call, innermost first; compared by identity."""

    frames: tuple[StackFrame, ...]


@dataclass(frozen=True, slots=True, eq=False)
class StackPlace(EventPlace):
    """Where calls happened, and the same as a call tree has it. Compared by identity."""

    of_tree: CallPlace


@dataclass(frozen=True, slots=True, eq=False)
class ContainerPlace(EventPlace):
    """Where calls happened, down to the container; empty if they do not say. Compared by identity."""

    container_id: str


class StackMeaning(Meaning):
    """Stacks and places of calls; its memory is bounded, and no eviction changes a result."""

    def __init__(self) -> None:
        super().__init__()
        self._stack_frames = Memo[StackFrame, StackFrame](lambda frame: frame, _KINDS_OF_FRAME)
        self._stacks = Memo[tuple[StackFrame, ...], Stack](lambda frames: Stack((), frames), _KINDS_OF_STACK)
        self._stack_places = Memo[tuple[str | None, ...], StackPlace](_stack_place, _KINDS_OF_PLACE)

    def evidence(self, frames: Sequence[Mapping[str, Any]], _snapshot: str | None, extra: Touch | None) -> Stack:
        """The stack of decoded frames, with the target of the probe that fired."""
        seen = [self._stack_frames[_frame(fields)] for fields in frames]
        target = None if extra is None else _target(extra)
        if target is not None and (not seen or not _is_target(seen[0], target)):
            seen.insert(0, self._stack_frames[target])
        return self._stacks[tuple(seen)]

    def place(self, fields: Mapping[str, Any]) -> StackPlace:
        """The place that these fields name."""
        return self._stack_places[tuple(fields[name] for name in STACK_FIELDS)]


class ContainerMeaning(Meaning):
    """What calls say about symbols, and in which container."""

    def __init__(self) -> None:
        super().__init__()
        self._containers = Memo[tuple[str | None, ...], ContainerPlace](_container_place, _KINDS_OF_PLACE)

    def place(self, fields: Mapping[str, Any]) -> ContainerPlace:
        """The place that these fields name."""
        return self._containers[tuple(fields[name] for name in CONTAINER_FIELDS)]


def _stack_place(key: tuple[str | None, ...]) -> StackPlace:
    place = place_of(dict(zip(PLACE_FIELDS, key[1:], strict=True)))
    image_id, image_name = place.image or ("", "")
    namespace = "" if place.namespace is None else place.namespace[0]
    of_tree = CallPlace(namespace, cut_place(key[0] or ""), image_name or image_id)
    return StackPlace(place.image, place.namespace, place.workload, of_tree)


def _container_place(key: tuple[str | None, ...]) -> ContainerPlace:
    place = place_of(dict(zip(PLACE_FIELDS, key[1:], strict=True)))
    return ContainerPlace(place.image, place.namespace, place.workload, key[0] or "")


def binary_reader(layout_of: LayoutOf) -> Callable[[bytes], str]:
    """A function that finds the executed file of a call: behind everything that the stage reads, so it reads on there.

    It gives the path; empty if the call does not say. The bytes must be a call that a `CallObserver` has read. Raises
    MalformedCallError if they still end early.
    """

    @lru_cache(MAX_SCHEMAS)
    def reader_of(schema_id: int) -> Callable[[bytes], str]:
        layout = layout_of(schema_id)
        assert layout is not None
        return _reader_for(layout)

    return lambda value: reader_of(avro_wire.schema_id_of(value))(value)


def _reader_for(layout: CallLayout) -> Callable[[bytes], str]:
    parts = layout.regular
    if parts is None:
        return lambda value: layout.decode(value)["process"]["binary"] or ""
    binary_of = Memo[bytes, str](lambda encoded: parts.binary.decode(encoded)["binary"] or "", _KINDS_OF_BINARY)

    def read(value: bytes) -> str:
        size, at = read_long(value, avro_wire.SCHEMA_HEADER_BYTES)  # of the event id
        _, at = read_long(value, at + size)  # time
        _, at = read_long(value, at)  # probe type
        for part in (parts.stack, parts.workload, parts.target):
            at = part.skip(value, at)
        at = parts.to_binary(value, at)
        return binary_of[value[at : parts.binary.skip(value, at)]]

    return read


def _frame(fields: Mapping[str, Any]) -> StackFrame:
    symbol, hint = fields["symbol"], fields["symbol_hint"] or ""
    has_place = not symbol and not hint and fields["offset_basis"] == "Module"
    return StackFrame(
        module=fields["module"],
        symbol=symbol,
        hint="" if symbol else hint,
        offset=fields["offset"] if has_place else None,
        build_id=fields["build_id"] or "",
        resolution=fields["resolution"],
        is_kernel_space=fields["is_kernel_space"],
    )


def _target(touch: Touch) -> StackFrame | None:
    """The frame of a probe that fired; None for an execution."""
    identity = parse_symbol_id(touch.symbol_id)
    if identity.evidence is EvidenceKind.BINARY:
        return None
    return StackFrame(touch.module, identity.symbol or "", build_id=identity.build_id or "", resolution=PROBE)


def _is_target(frame: StackFrame, target: StackFrame) -> bool:
    same_file = (
        frame.build_id == target.build_id if frame.build_id and target.build_id else frame.module == target.module
    )
    return same_file and target.symbol in {frame.symbol, frame.hint}
