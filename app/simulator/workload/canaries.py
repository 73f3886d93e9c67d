"""Canary events: every kind of event with a secret in every string and bytes field that the contract has.

Fields are listed from the descriptors, so a field that a newer contract adds gets a secret without a change here: in
the shape of a token, unless `_SHAPES` says what such a field leaks. A field that the contract does not have yet gets
one too, under an unused number. One event cannot hold every alternative of a oneof nor every form of a secret, so
there is a series of them: each alternative of each oneof and each form occurs in it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from app.simulator.workload import secrets
from schemas import proto_wire
from schemas.tetragon.events_pb2 import GetEventsResponse

Shape = Callable[[str, int], str | bytes]

# The runtime's descriptors are of classes that its type stubs do not all know.
_Message = Any
_Field = Any

_SHAPES: Final[dict[str, Shape]] = {
    "GetEventsResponse.node_labels": secrets.raw,
    "Process.exec_id": secrets.execution,
    "Process.parent_exec_id": secrets.execution,
    "Process.cwd": secrets.path,
    "Process.binary": secrets.binary,
    "Process.arguments": secrets.command_line,
    "Pod.uid": secrets.raw,
    "Pod.pod_labels": secrets.raw,
    "Pod.pod_annotations": secrets.raw,
    "EnvVar.Key": secrets.raw,
    "EnvVar.Value": secrets.raw,
    "UserRecord.name": secrets.raw,
    "FileProperties.path": secrets.path,
    "KprobeArgument.string_arg": secrets.text,
    "KprobeArgument.label": secrets.text,
    "KprobePath.mount": secrets.path,
    "KprobePath.path": secrets.path,
    "KprobeFile.mount": secrets.path,
    "KprobeFile.path": secrets.path,
    "KprobeLinuxBinprm.path": secrets.path,
    "KprobeSockaddrUn.path": secrets.path,
    "KprobeSkb.saddr": secrets.raw,
    "KprobeSkb.daddr": secrets.raw,
    "KprobeSock.saddr": secrets.raw,
    "KprobeSock.daddr": secrets.raw,
    "KprobeSockaddr.addr": secrets.raw,
    "KprobeError.Message": secrets.text,
    "ProcessKprobe.message": secrets.text,
    "ProcessKprobe.tags": secrets.text,
    "ProcessTracepoint.message": secrets.text,
    "ProcessTracepoint.tags": secrets.text,
    "ProcessUprobe.path": secrets.path,
    "ProcessUprobe.message": secrets.text,
    "ProcessUprobe.tags": secrets.text,
    "ProcessUsdt.path": secrets.path,
    "ProcessUsdt.message": secrets.text,
    "ProcessUsdt.tags": secrets.text,
    "ProcessLsm.message": secrets.text,
    "ProcessLsm.tags": secrets.text,
    "ProcessLoader.path": secrets.path,
    "StackTraceEntry.module": secrets.module,
}
"""What a field leaks if it leaks: message and field name to the shape of its canary."""

FORMS: Final = len(secrets.COMMAND_LINES)
"""How many forms the series goes through; no shape has more."""

_UNKNOWN_FIELD: Final = 60_001
_WELL_KNOWN: Final = "google.protobuf."
_MAX_DEPTH: Final = 12
"""The contract is 6 messages deep; this ends the filling of a newer one that is recursive."""


@dataclass(frozen=True, slots=True)
class Canary:
    """One planted secret: `place` is the field, as a path from the event's kind down."""

    place: str
    form: int
    needle: str


def plant(place: str, form: int, planted: dict[str, Canary]) -> str:
    """The needle of a secret at this place and in this form, which is among the `planted` from now on."""
    needle = secrets.needle_of(place, form)
    planted[needle] = Canary(place, form, needle)
    return needle


@dataclass(frozen=True, slots=True)
class _Filling:
    """One event being filled. `choice` says which alternative a oneof gets; `planted` collects what was planted."""

    form: int
    choice: int
    planted: dict[str, Canary]

    def secret(self, place: str, shape: Shape) -> Any:
        return shape(plant(place, self.form, self.planted), self.form)


def canary_events() -> tuple[GetEventsResponse, ...]:
    """The series of events, without times. Every canary of `canaries` is in it at least once."""
    return _series()[0]


def canaries() -> dict[str, Canary]:
    """Every planted secret by its needle."""
    return _series()[1]


@cache
def _series() -> tuple[tuple[GetEventsResponse, ...], dict[str, Canary]]:
    events: list[GetEventsResponse] = []
    planted: dict[str, Canary] = {}
    for form in range(FORMS):
        for kind in GetEventsResponse.DESCRIPTOR.oneofs_by_name["event"].fields:
            for choice in range(_choices(kind.message_type)):
                event = GetEventsResponse()
                _fill(event, kind.name, _Filling(form, choice, planted), only=kind)
                events.append(event)
    return tuple(events), planted


def _choices(body: _Message, depth: int = 0) -> int:
    """How many events it takes to show every alternative of the oneofs in singular fields of `body`."""
    most = 1
    for field in body.fields:
        nested = field.message_type
        if nested is None or field.is_repeated or depth > _MAX_DEPTH:
            continue
        most = max(most, *(len(oneof.fields) for oneof in nested.oneofs), _choices(nested, depth + 1))
    return most


def _fill(message: Message, place: str, filling: _Filling, *, only: _Field = None, depth: int = 0) -> None:
    """Set every field of `message`; of a oneof the alternative `only`, or the one whose turn it is."""
    for field in message.DESCRIPTOR.fields:
        oneof = field.containing_oneof
        if oneof is not None:
            chosen = only if only is not None else oneof.fields[filling.choice % len(oneof.fields)]
            if field.number != chosen.number:
                continue
        here = place if field is only or (only is not None and oneof is not None) else f"{place}.{field.name}"
        _set(message, field, here, filling, depth)
    if filling.form % 2:
        _plant_unknown(message, place, filling)


def _set(message: Message, field: _Field, place: str, filling: _Filling, depth: int) -> None:
    shape = _SHAPES.get(f"{message.DESCRIPTOR.name}.{field.name}")
    nested = field.message_type
    if nested is not None and field.is_repeated and nested.oneofs and filling.choice:
        return  # the first event of a kind has them all
    if nested is None:
        value = _scalar(field, place, filling, shape)
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    elif nested.GetOptions().map_entry:
        key, secret = (filling.secret(f"{place}.{part}", shape or secrets.token) for part in ("key", "value"))
        getattr(message, field.name)[key] = secret
    elif nested.full_name.startswith(_WELL_KNOWN):
        # Wrappers and times hold numbers only: any will do, but for a time it must be one.
        setattr(getattr(message, field.name), nested.fields[0].name, 1)
    elif depth < _MAX_DEPTH:
        for choice in _alternatives(field, filling.choice):
            child = getattr(message, field.name)
            child = child.add() if field.is_repeated else child
            _fill(
                child,
                _alternative_place(place, nested, choice),
                _Filling(filling.form, choice, filling.planted),
                depth=depth + 1,
            )


def _alternatives(field: _Field, choice: int) -> range:
    """Choices to be made in a field: a repeated one has room for every alternative of its oneof."""
    if field.is_repeated and field.message_type.oneofs:
        return range(max(len(oneof.fields) for oneof in field.message_type.oneofs))
    return range(choice, choice + 1)


def _alternative_place(place: str, nested: _Message, choice: int) -> str:
    """Fields beside a oneof occur with every alternative and would otherwise share a place."""
    if not nested.oneofs:
        return place
    oneof = nested.oneofs[0]
    return f"{place}[{oneof.fields[choice % len(oneof.fields)].name}]"


def _scalar(field: _Field, place: str, filling: _Filling, shape: Shape | None) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return filling.secret(place, shape or secrets.token)
        case FieldDescriptor.TYPE_BYTES:
            return filling.secret(place, shape or secrets.buffer)
        case FieldDescriptor.TYPE_ENUM:
            values = field.enum_type.values
            return values[min(1, len(values) - 1)].number
        case _:
            return 1


def _plant_unknown(message: Message, place: str, filling: _Filling) -> None:
    secret = filling.secret(f"{place}.#{_UNKNOWN_FIELD}", secrets.text).encode()
    message.MergeFromString(proto_wire.field(_UNKNOWN_FIELD, secret))
