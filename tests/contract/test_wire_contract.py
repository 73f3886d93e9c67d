"""The descriptors of schemas.tetragon say what the contract tables say, in both directions.

The tables are not part of the project: CALLSTREAM_CONTRACT_DIR names the folder that has tetragon_fields.csv (message,
field_number, field_name, type, label, oneof) and tetragon_enums.csv (enum, value_name, number).
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from schemas.tetragon import arguments_pb2, events_pb2, filters_pb2, process_pb2, service_pb2

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


def test_the_service_is_the_streaming_method() -> None:
    """GetEvents takes one request and streams the answers; its path is what client and simulator use."""
    file = FileDescriptorProto()
    service_pb2.DESCRIPTOR.CopyToProto(file)
    [method] = file.service[0].method

    assert (file.package, file.service[0].name, method.name) == ("tetragon", "FineGuidanceSensors", "GetEvents")
    assert (method.input_type, method.output_type) == (".tetragon.GetEventsRequest", ".tetragon.GetEventsResponse")
    assert (method.client_streaming, method.server_streaming) == (False, True)


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
