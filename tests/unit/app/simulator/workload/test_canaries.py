"""app/simulator/workload/canaries.py: no text and no bytes of the contract without a secret."""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from app.simulator.workload import canaries as canaries_module
from app.simulator.workload.canaries import canaries, canary_events
from app.simulator.workload.secrets import traces
from schemas.tetragon.events_pb2 import GetEventsResponse

_PRIVATE = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}


def _private_fields(message: Any, place: str) -> set[str]:
    """Every text and bytes field that the contract has below `message`, by message types on the way there."""
    found = set()
    for field in message.fields:
        here = f"{place}.{field.name}"
        if field.message_type is not None:
            found |= _private_fields(field.message_type, here)
        elif field.type in _PRIVATE:
            found.add(here)
    return found


def _planted_fields(message: Message, place: str) -> set[str]:
    """Every field below `message` whose value holds a canary."""
    found = set()
    for field, value in message.ListFields():
        here = f"{place}.{field.name}"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key, content in value.items():
                found |= {f"{here}.key"} if traces(key.encode()) else set()
                found |= {f"{here}.value"} if traces(content.encode()) else set()
        elif field.message_type is not None:
            for item in value if field.is_repeated else [value]:
                found |= _planted_fields(item, here)
        elif field.type in _PRIVATE:
            items = value if field.is_repeated else [value]
            found |= {here} if all(traces(i if isinstance(i, bytes) else i.encode()) for i in items) else set()
    return found


def test_every_text_and_bytes_field_of_every_kind_holds_a_canary() -> None:
    """The fields of the contract and the fields with a canary are the same, counted along every path."""
    planted = set()
    for event in canary_events():
        planted |= _planted_fields(event, "event")

    assert planted == _private_fields(GetEventsResponse.DESCRIPTOR, "event")


def test_every_field_shows_every_form() -> None:
    """The secret of a field takes each of its forms in some event."""
    forms: dict[str, set[int]] = {}
    for canary in canaries().values():
        forms.setdefault(canary.place, set()).add(canary.form)

    odd = set(range(1, canaries_module.FORMS, 2))
    assert all(found == (odd if "#" in place else set(range(canaries_module.FORMS))) for place, found in forms.items())


def test_every_canary_is_in_the_encoded_events() -> None:
    """What is announced as planted can be found on the wire, so finding nothing downstream means something."""
    found: set[str] = set()
    for event in canary_events():
        found.update(traces(event.SerializeToString()))

    assert found == canaries().keys()


def test_fields_of_a_newer_contract_are_planted() -> None:
    """A field that nobody has heard of is on the wire, in the event and at depth."""
    places = {canary.place for canary in canaries().values()}

    assert {"process_exec.#60001", "process_exec.process.#60001", "process_kprobe.args[sock_arg].#60001"} <= places


def test_a_new_field_joins_by_itself() -> None:
    """A field added to the descriptors gets a canary without a change to the code."""
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="newer.proto", package="newer", syntax="proto3")
    message = file.message_type.add(name="Process")
    text, optional = FieldDescriptor.TYPE_STRING, FieldDescriptor.LABEL_OPTIONAL
    message.field.add(name="nickname", number=99, type=text, label=optional)
    pool.Add(file)
    process: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("newer.Process"))()
    planted: dict[str, canaries_module.Canary] = {}

    canaries_module._fill(process, "process", canaries_module._Filling(0, 0, planted))

    assert [canary.place for canary in planted.values()] == ["process.nickname"]
    assert traces(process.nickname.encode()) == list(planted)
