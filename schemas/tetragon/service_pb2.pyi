# mypy: disable-error-code="type-arg, no-untyped-def"
from schemas.tetragon import events_pb2 as _events_pb2
from schemas.tetragon import filters_pb2 as _filters_pb2
from schemas.tetragon import policies_pb2 as _policies_pb2
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor
