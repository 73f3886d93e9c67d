"""agents/canonicalize/arguments.py."""

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from agents.canonicalize.arguments import KINDS, UNKNOWN_TYPE, canonical_argument
from schemas.canonical_pb2 import ATOM_CLASS_ADDRESS, ATOM_CLASS_BUFFER, ATOM_CLASS_NUMBER, ATOM_CLASS_PATH
from schemas.tetragon.arguments_pb2 import (
    KprobeArgument,
    KprobeFile,
    KprobeSock,
    KprobeTruncatedBytes,
)
from schemas.tetragon.process_pb2 import Capabilities, ProcessCredentials


def test_every_kind_of_argument_has_a_row() -> None:
    """A kind that a newer contract adds to the oneof fails here until it has its row."""
    fields = {field.name for field in KprobeArgument.DESCRIPTOR.oneofs_by_name["arg"].fields}

    assert set(KINDS) == fields


def test_every_member_of_every_kind_is_read_when_set() -> None:
    """No member of an argument message is dropped: setting any one of them yields an atom."""
    for field in KprobeArgument.DESCRIPTOR.oneofs_by_name["arg"].fields:
        if field.message_type is None:
            continue
        for member in field.message_type.fields:
            argument = KprobeArgument()
            message = getattr(argument, field.name)
            if member.is_repeated:
                getattr(message, member.name).append(1)
            elif member.message_type is not None:
                _fill(getattr(message, member.name))
            else:
                setattr(message, member.name, _sample(member))

            assert canonical_argument(argument).atoms, f"{field.name}.{member.name}"


def test_scalar_zero_is_a_value_when_the_oneof_says_it_was_sent() -> None:
    """`int_arg: 0` is an observation, unlike an absent argument."""
    atoms = canonical_argument(KprobeArgument(int_arg=0, label="fd")).atoms

    assert [(atom.text, atom.atom_class) for atom in atoms] == [("0", ATOM_CLASS_NUMBER)]


def test_unknown_kind_has_no_atom_when_a_newer_tetragon_sends_it() -> None:
    """What is not known cannot leak: it yields a type and nothing else."""
    newer = KprobeArgument.FromString(bytes([0xA2, 0x06, 0x03]) + b"abc")

    argument = canonical_argument(newer)

    assert argument.type == UNKNOWN_TYPE
    assert not argument.atoms


def test_file_argument_marks_its_path_private() -> None:
    """A path is an atom of class PATH beside its permission."""
    argument = canonical_argument(KprobeArgument(file_arg=KprobeFile(path="/etc/passwd", permission="-rw-r--r--")))

    assert argument.type == "file"
    assert [(atom.name, atom.text) for atom in argument.atoms] == [
        ("path", "/etc/passwd"),
        ("permission", "-rw-r--r--"),
    ]
    assert argument.atoms[0].atom_class == ATOM_CLASS_PATH


def test_socket_argument_marks_both_addresses() -> None:
    """Source and destination are addresses, ports are numbers."""
    sock = KprobeSock(family="AF_INET", saddr="10.0.0.1", sport=4000, daddr="10.0.0.2", dport=443)

    atoms = {atom.name: atom for atom in canonical_argument(KprobeArgument(sock_arg=sock)).atoms}

    assert atoms["saddr"].atom_class == atoms["daddr"].atom_class == ATOM_CLASS_ADDRESS
    assert atoms["dport"].text == "443"


@pytest.mark.parametrize(
    "argument",
    [
        KprobeArgument(bytes_arg=b"\xff\x00"),
        KprobeArgument(truncated_bytes_arg=KprobeTruncatedBytes(bytes_arg=b"\xff\x00", orig_size=9)),
    ],
)
def test_buffers_stay_bytes(argument: KprobeArgument) -> None:
    """A user buffer is carried as bytes, whatever it holds."""
    atoms = canonical_argument(argument).atoms

    assert atoms[0].atom_class == ATOM_CLASS_BUFFER
    assert atoms[0].buffer == b"\xff\x00"


def test_credentials_name_their_capabilities() -> None:
    """Capability numbers become the kernel's names; one that is not known stays a number."""
    capabilities = Capabilities.FromString(bytes([0x12, 2, 21, 63]))
    credentials = ProcessCredentials(caps=capabilities)

    atoms = canonical_argument(KprobeArgument(process_credentials_arg=credentials)).atoms

    assert [(atom.name, atom.text) for atom in atoms] == [("effective", "CAP_SYS_ADMIN 63")]


def _sample(field: Any) -> str | int | bytes:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return "x"
        case FieldDescriptor.TYPE_BYTES:
            return b"x"
        case _:
            return 1


def _fill(message: Any) -> None:
    """Make a sub-message present, with its first member set where it has a scalar one."""
    message.SetInParent()
    for member in message.DESCRIPTOR.fields:
        if member.is_repeated:
            getattr(message, member.name).append(1)
            return
        if member.message_type is not None and member.message_type.name.endswith("Value"):
            getattr(message, member.name).SetInParent()
            return
        if member.message_type is None:
            setattr(message, member.name, _sample(member))
            return
