"""A message type with every text field read as bytes: it distinguishes invalid UTF-8 from bytes that are not a message.

proto3 parsers refuse a message whose string fields are not UTF-8 with the same error as a truncated one. For an
operator the two are different mistakes. Built from the descriptors, in a pool of its own, so that it follows the
contract.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message


def text_as_bytes(message_class: type[Message]) -> type[Message]:
    """Class of the same message, sub-messages included, in which `string` is `bytes`."""
    descriptor = message_class.DESCRIPTOR
    pool = descriptor_pool.DescriptorPool()
    _add_file(pool, descriptor.file, set())
    found = pool.FindMessageTypeByName(descriptor.full_name)
    return message_factory.GetMessageClass(found)


def _add_file(pool: descriptor_pool.DescriptorPool, file: Any, added: set[str]) -> None:
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add_file(pool, dependency, added)
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    for message in proto.message_type:
        _without_text(message)
    pool.Add(proto)


def _without_text(message: descriptor_pb2.DescriptorProto) -> None:
    if message.options.map_entry:
        return  # bytes cannot be a map's key; labels are not what fails
    for field in message.field:
        if field.type == descriptor_pb2.FieldDescriptorProto.TYPE_STRING:
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    for nested in message.nested_type:
        _without_text(nested)
