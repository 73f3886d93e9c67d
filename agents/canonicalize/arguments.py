"""What a probe observed: one `KprobeArgument` becomes a type, a label and atoms, each atom of one privacy class.

An atom is one value inside an argument: a path argument has its path, its flags and its permission. The class says how
private a text can be; the privacy stage decides what follows from that. Every kind of argument in the oneof
`arg` has a row here (a test compares with the descriptor); members are named as in the proto, without its odd capitals;
empty members are left out, because proto3 cannot tell them from absent ones. A kind that is not known yields type
`unknown` and no atom.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor

from schemas.canonical_pb2 import (
    ATOM_CLASS_ADDRESS,
    ATOM_CLASS_BUFFER,
    ATOM_CLASS_NAME,
    ATOM_CLASS_NUMBER,
    ATOM_CLASS_PATH,
    ATOM_CLASS_TEXT,
    ATOM_CLASS_WORD,
    AtomClass,
    CanonicalArgument,
    CanonicalAtom,
)
from schemas.tetragon.arguments_pb2 import BpfCmd, KprobeArgument

Atoms = Iterable[CanonicalAtom]

UNKNOWN_TYPE: Final = "unknown"


def canonical_argument(argument: KprobeArgument) -> CanonicalArgument:
    """The canonical form of one argument."""
    kind = argument.WhichOneof("arg")
    if kind is None:
        return CanonicalArgument(label=argument.label, type=UNKNOWN_TYPE)
    name, read = KINDS[kind]
    return CanonicalArgument(label=argument.label, type=name, atoms=read(getattr(argument, kind)))


def _atom(name: str, atom_class: AtomClass, text: str) -> CanonicalAtom:
    return CanonicalAtom(name=name, atom_class=atom_class, text=text)


def _single(atom_class: AtomClass) -> Callable[[Any], Atoms]:
    """A scalar that is the argument's whole value."""
    return lambda value: [_atom("", atom_class, str(value))]


def _buffer(value: bytes) -> Atoms:
    return [CanonicalAtom(atom_class=ATOM_CLASS_BUFFER, buffer=value)]


def _truncated_buffer(value: Any) -> Atoms:
    return [
        CanonicalAtom(name="bytes", atom_class=ATOM_CLASS_BUFFER, buffer=value.bytes_arg),
        _atom("orig_size", ATOM_CLASS_NUMBER, str(value.orig_size)),
    ]


def _members(**classes: AtomClass) -> Callable[[Any], Atoms]:
    """Scalar members of a message, in the order given."""
    fields = [(name, name.lower(), atom_class) for name, atom_class in classes.items()]

    def read(value: Any) -> Atoms:
        for field, name, atom_class in fields:
            content = getattr(value, field)
            if content not in ("", 0):
                yield _atom(name, atom_class, str(content))

    return read


def _words(enum: EnumDescriptor, numbers: Iterable[int]) -> str:
    """Names of enum values; the number where a newer Tetragon sends a value that is not known here."""
    known = enum.values_by_number
    return " ".join(known[number].name if number in known else str(number) for number in numbers)


def _enums(value: Any, *names: str) -> Atoms:
    """Repeated enum members: each becomes the kernel's names, separated by spaces."""
    for name in names:
        numbers = getattr(value, name)
        if numbers:
            yield _atom(name, ATOM_CLASS_WORD, _words(value.DESCRIPTOR.fields_by_name[name].enum_type, numbers))


def _capabilities(value: Any) -> Atoms:
    return _enums(value, "permitted", "effective", "inheritable")


def _wrapped(value: Any, *names: str) -> Atoms:
    """Presence-carrying integers of google/protobuf/wrappers.proto: 0 is a value here."""
    for name in names:
        if value.HasField(name):
            yield _atom(name, ATOM_CLASS_NUMBER, str(getattr(value, name).value))


def _namespace(value: Any) -> Atoms:
    if value.HasField("ns"):
        yield _atom("ns", ATOM_CLASS_NUMBER, str(value.ns.inum))


def _user_namespace(value: Any) -> Atoms:
    yield from _wrapped(value, "level", "uid", "gid")
    yield from _namespace(value)


def _old_user_namespace(value: Any) -> Atoms:
    yield from _wrapped(value, "level", "owner", "group")
    yield from _namespace(value)


def _credentials(value: Any) -> Atoms:
    yield from _wrapped(value, "uid", "gid", "euid", "egid", "suid", "sgid", "fsuid", "fsgid")
    yield from _enums(value, "securebits")
    if value.HasField("caps"):
        yield from _capabilities(value.caps)
    if value.HasField("user_ns"):
        for atom in _user_namespace(value.user_ns):
            yield _atom(f"user_ns_{atom.name}", atom.atom_class, atom.text)


def _capability(value: Any) -> Atoms:
    yield from _wrapped(value, "value")
    if value.name:
        yield _atom("name", ATOM_CLASS_WORD, value.name)


def _kernel_module(value: Any) -> Atoms:
    if value.name:
        yield _atom("name", ATOM_CLASS_NAME, value.name)
    if value.HasField("signature_ok"):
        yield _atom("signature_ok", ATOM_CLASS_WORD, "true" if value.signature_ok.value else "false")
    yield from _enums(value, "tainted")


def _bpf_command(number: int) -> Atoms:
    return [_atom("", ATOM_CLASS_WORD, _words(BpfCmd.DESCRIPTOR, [number]))]


_FILE = _members(mount=ATOM_CLASS_PATH, path=ATOM_CLASS_PATH, flags=ATOM_CLASS_WORD, permission=ATOM_CLASS_WORD)
_PROGRAM = _members(ProgType=ATOM_CLASS_WORD, InsnCnt=ATOM_CLASS_NUMBER, ProgName=ATOM_CLASS_NAME)
_NUMBER = _single(ATOM_CLASS_NUMBER)
_WORD = _single(ATOM_CLASS_WORD)


KINDS: Final[dict[str, tuple[str, Callable[[Any], Atoms]]]] = {
    "string_arg": ("string", _single(ATOM_CLASS_TEXT)),
    "int_arg": ("int", _NUMBER),
    "skb_arg": (
        "skb",
        _members(
            family=ATOM_CLASS_WORD,
            protocol=ATOM_CLASS_WORD,
            saddr=ATOM_CLASS_ADDRESS,
            sport=ATOM_CLASS_NUMBER,
            daddr=ATOM_CLASS_ADDRESS,
            dport=ATOM_CLASS_NUMBER,
            proto=ATOM_CLASS_NUMBER,
            len=ATOM_CLASS_NUMBER,
            hash=ATOM_CLASS_NUMBER,
            priority=ATOM_CLASS_NUMBER,
            mark=ATOM_CLASS_NUMBER,
            sec_path_len=ATOM_CLASS_NUMBER,
            sec_path_olen=ATOM_CLASS_NUMBER,
        ),
    ),
    "size_arg": ("size", _NUMBER),
    "bytes_arg": ("bytes", _buffer),
    "path_arg": ("path", _FILE),
    "file_arg": ("file", _FILE),
    "truncated_bytes_arg": ("truncated_bytes", _truncated_buffer),
    "sock_arg": (
        "sock",
        _members(
            family=ATOM_CLASS_WORD,
            type=ATOM_CLASS_WORD,
            protocol=ATOM_CLASS_WORD,
            state=ATOM_CLASS_WORD,
            saddr=ATOM_CLASS_ADDRESS,
            sport=ATOM_CLASS_NUMBER,
            daddr=ATOM_CLASS_ADDRESS,
            dport=ATOM_CLASS_NUMBER,
            mark=ATOM_CLASS_NUMBER,
            priority=ATOM_CLASS_NUMBER,
            cookie=ATOM_CLASS_NUMBER,
        ),
    ),
    "cred_arg": ("cred", _capabilities),
    "long_arg": ("long", _NUMBER),
    "bpf_attr_arg": ("bpf_attr", _PROGRAM),
    "perf_event_arg": (
        "perf_event",
        _members(
            KprobeFunc=ATOM_CLASS_NAME,
            Type=ATOM_CLASS_WORD,
            Config=ATOM_CLASS_NUMBER,
            ProbeOffset=ATOM_CLASS_NUMBER,
        ),
    ),
    "bpf_map_arg": (
        "bpf_map",
        _members(
            MapType=ATOM_CLASS_WORD,
            KeySize=ATOM_CLASS_NUMBER,
            ValueSize=ATOM_CLASS_NUMBER,
            MaxEntries=ATOM_CLASS_NUMBER,
            MapName=ATOM_CLASS_NAME,
        ),
    ),
    "uint_arg": ("uint", _NUMBER),
    "user_namespace_arg": ("user_namespace", _old_user_namespace),
    "capability_arg": ("capability", _capability),
    "process_credentials_arg": ("process_credentials", _credentials),
    "user_ns_arg": ("user_ns", _user_namespace),
    "module_arg": ("module", _kernel_module),
    "kernel_cap_t_arg": ("kernel_cap_t", _WORD),
    "cap_inheritable_arg": ("cap_inheritable", _WORD),
    "cap_permitted_arg": ("cap_permitted", _WORD),
    "cap_effective_arg": ("cap_effective", _WORD),
    "linux_binprm_arg": (
        "linux_binprm",
        _members(path=ATOM_CLASS_PATH, flags=ATOM_CLASS_WORD, permission=ATOM_CLASS_WORD),
    ),
    "net_dev_arg": ("net_dev", _members(name=ATOM_CLASS_NAME)),
    "bpf_cmd_arg": ("bpf_cmd", _bpf_command),
    "syscall_id": ("syscall_id", _members(id=ATOM_CLASS_NUMBER, abi=ATOM_CLASS_WORD)),
    "sockaddr_arg": (
        "sockaddr",
        _members(family=ATOM_CLASS_WORD, addr=ATOM_CLASS_ADDRESS, port=ATOM_CLASS_NUMBER),
    ),
    "bpf_prog_arg": ("bpf_prog", _PROGRAM),
    "error_arg": ("error", _members(Message=ATOM_CLASS_TEXT)),
    "sockaddrun_arg": ("sockaddr_un", _members(family=ATOM_CLASS_WORD, path=ATOM_CLASS_PATH)),
}
"""Oneof member to the argument's type name and the function that reads its atoms."""
