"""The descriptors of schemas.tetragon say what the contract tables say, in both directions.

The tables are not part of the project: CALLSTREAM_CONTRACT_DIR names the folder that has tetragon_fields.csv (message,
field_number, field_name, type, label, oneof) and tetragon_enums.csv (enum, value_name, number). What the agent says of
itself is in tetragon_admin_fields.csv, with a column `deprecated`, and tetragon_admin_enums.csv; tetragon_rpcs.csv has
service, method, request, response and streaming.
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from schemas.tetragon import arguments_pb2, events_pb2, filters_pb2, policies_pb2, process_pb2, service_pb2

Row = tuple[str, ...]

MODULES: Final = (events_pb2, process_pb2, arguments_pb2, filters_pb2, service_pb2)
SCALARS: Final = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
}


@pytest.fixture(name="contract_dir", scope="module")
def _contract_dir() -> Path:
    folder = os.environ.get("CALLSTREAM_CONTRACT_DIR")
    if not folder:
        pytest.skip("CALLSTREAM_CONTRACT_DIR is not set: the contract tables are not part of the project")
    return Path(folder)


def test_fields_equal_the_contract_table(contract_dir: Path) -> None:
    """Every message has the fields of the table and no others: number, name, type, label and oneof."""
    ours = [row for message in _messages() for row in _field_rows(message)]

    assert sorted(ours) == sorted(_rows(contract_dir / "tetragon_fields.csv"))


def test_enums_equal_the_contract_table(contract_dir: Path) -> None:
    """Every enum has the values of the table and no others."""
    ours = [(enum.full_name, value.name, str(value.number)) for enum in _enums() for value in enum.values]

    assert sorted(ours) == sorted(_rows(contract_dir / "tetragon_enums.csv"))


def test_event_types_are_numbered_like_the_oneof() -> None:
    """Filters name an event kind by the number of its field, which ingest and simulator rely on."""
    kinds = events_pb2.GetEventsResponse.DESCRIPTOR.oneofs_by_name["event"].fields
    types = filters_pb2.EventType.DESCRIPTOR.values

    assert [(field.name.upper(), field.number) for field in kinds] == [(t.name, t.number) for t in types if t.number]


def test_numbers_of_other_editions_stay_reserved() -> None:
    """The gaps of the event oneof belong to kinds of other editions and cannot be given to a new field."""
    proto = DescriptorProto()
    events_pb2.GetEventsResponse.DESCRIPTOR.CopyToProto(proto)

    assert [(gap.start, gap.end - 1) for gap in proto.reserved_range] == [(2, 4), (6, 8), (13, 26)]


def test_deprecated_parts_are_marked() -> None:
    """What Tetragon declares deprecated is deprecated here, and nothing else."""
    fields = [field.full_name for message in _messages() for field in message.fields if field.GetOptions().deprecated]
    values = [value.name for enum in _enums() for value in enum.values if value.GetOptions().deprecated]

    assert fields == ["tetragon.KprobeArgument.user_namespace_arg"]
    assert values == ["KPROBE_ACTION_FOLLOWFD", "KPROBE_ACTION_UNFOLLOWFD", "KPROBE_ACTION_COPYFD"]


def test_what_the_agent_says_of_itself_equals_the_contract_table(contract_dir: Path) -> None:
    """Messages and enums that we ask for have the fields and values of the table and no others."""
    file = policies_pb2.DESCRIPTOR
    messages = [inner for one in file.message_types_by_name.values() for inner in (one, *one.nested_types)]
    ours = [
        (*(part.removeprefix("enum ") for part in row), "deprecated" if field.GetOptions().deprecated else "")
        for message in messages
        for row, field in zip(_field_rows(message), message.fields, strict=True)
    ]
    enums = [
        (enum.full_name, value.name, str(value.number))
        for enum in file.enum_types_by_name.values()
        for value in enum.values
    ]
    names = {message.full_name for message in messages} | {row[0] for row in enums}

    theirs = [row for row in _rows(contract_dir / "tetragon_admin_fields.csv") if row[0] in names]
    assert sorted(ours) == sorted(theirs)
    assert sorted(enums) == sorted(row for row in _rows(contract_dir / "tetragon_admin_enums.csv") if row[0] in names)


def test_the_methods_are_those_of_the_contract_table(contract_dir: Path) -> None:
    """Each method that we call takes and gives what the table says; only GetEvents streams."""
    file = FileDescriptorProto()
    service_pb2.DESCRIPTOR.CopyToProto(file)
    [service] = file.service
    ours = {
        (
            f"{file.package}.{service.name}",
            method.name,
            method.input_type.removeprefix("."),
            method.output_type.removeprefix("."),
            "server" if method.server_streaming else "",
        )
        for method in service.method
    }

    assert {row[1] for row in ours} == {"GetEvents", "ListTracingPolicies", "GetInfo"}
    assert ours <= set(_rows(contract_dir / "tetragon_rpcs.csv"))
    assert not any(method.client_streaming for method in service.method)


def _rows(table: Path) -> list[Row]:
    with table.open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def _messages() -> list[Descriptor]:
    """Every message declared in our files and every well-known type they reach, map entries left out, each once."""
    found: dict[str, Descriptor] = {}
    waiting = [message for module in MODULES for message in module.DESCRIPTOR.message_types_by_name.values()]
    while waiting:
        message = waiting.pop()
        if message.full_name not in found and not message.GetOptions().map_entry:
            found[message.full_name] = message
            waiting += [field.message_type for field in message.fields if field.message_type is not None]
    return [found[name] for name in sorted(found)]


def _enums() -> Iterator[EnumDescriptor]:
    for module in MODULES:
        yield from module.DESCRIPTOR.enum_types_by_name.values()


def _field_rows(message: Descriptor) -> Iterator[Row]:
    for field in message.fields:
        oneof = field.containing_oneof.name if field.containing_oneof is not None else ""
        yield (message.full_name, str(field.number), field.name, _type(field), _label(field), oneof)


def _type(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        if _is_map(field):
            key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            return f"map<{_type(key)}, {_type(value)}>"
        return field.message_type.full_name
    if field.enum_type is not None:
        return f"enum {field.enum_type.full_name}"
    return SCALARS[field.type]


def _label(field: FieldDescriptor) -> str:
    if _is_map(field):
        return "map"
    return "repeated" if field.is_repeated else "singular"


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
