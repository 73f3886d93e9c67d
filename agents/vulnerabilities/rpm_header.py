"""A package's header as rpm keeps it: its name, version and paths.

The format is that of rpm's manual (format_header(5)): two numbers in network order, how many entries and how many bytes
of data; entries of tag, type, place and count; then the data. Paths are a folder's number and a name.
"""

from struct import Struct
from typing import Final, NamedTuple

from agents.vulnerabilities.system_packages import MAX_FILES, SystemPackage

_NAME: Final = 1000
_VERSION: Final = 1001
_RELEASE: Final = 1002
_EPOCH: Final = 1003
_ARCHITECTURE: Final = 1022
_SOURCE: Final = 1044
_FOLDER_NUMBERS: Final = 1116
_NAMES: Final = 1117
_FOLDERS: Final = 1118

_INT32: Final = 4
_STRING: Final = 6
_STRINGS: Final = frozenset((6, 8, 9))
_HEAD: Final = Struct(">II")
_ENTRY: Final = Struct(">IIII")
_MAX_ENTRIES: Final = 10_000


class _HeaderEntry(NamedTuple):
    kind: int
    place: int
    many: int


def read_rpm_header(content: bytes) -> tuple[SystemPackage, list[str]] | None:
    """The package and its paths; None where the bytes are not a header."""
    if len(content) < _HEAD.size:
        return None
    count, size = _HEAD.unpack_from(content)
    start = _HEAD.size + count * _ENTRY.size
    if count > _MAX_ENTRIES or start + size > len(content):
        return None
    entries = {
        tag: _HeaderEntry(kind, place, many)
        for tag, kind, place, many in _ENTRY.iter_unpack(content[_HEAD.size : start])
        if many <= MAX_FILES and place <= size
    }
    data = content[start : start + size]
    name = _text(data, entries.get(_NAME))
    if not name:
        return None
    epoch = _numbers(data, entries.get(_EPOCH))
    version = f"{_text(data, entries.get(_VERSION))}-{_text(data, entries.get(_RELEASE))}"
    source = _text(data, entries.get(_SOURCE))
    package = SystemPackage(
        "rpm",
        name,
        f"{epoch[0]}:{version}" if epoch and epoch[0] else version,
        _text(data, entries.get(_ARCHITECTURE)),
        source.rsplit("-", 2)[0] if source else name,
        version,
    )
    folders = _texts(data, entries.get(_FOLDERS))
    names = _texts(data, entries.get(_NAMES))
    numbers = _numbers(data, entries.get(_FOLDER_NUMBERS))
    paths = [folders[at] + one for at, one in zip(numbers, names, strict=False) if at < len(folders)]
    return package, paths


def _text(data: bytes, entry: _HeaderEntry | None) -> str:
    return next(iter(_texts(data, entry)), "")


def _texts(data: bytes, entry: _HeaderEntry | None) -> list[str]:
    if entry is None or entry.kind not in _STRINGS:
        return []
    count = 1 if entry.kind == _STRING else entry.many
    return [one.decode("utf-8", "replace") for one in data[entry.place :].split(b"\0", count)[:count]]


def _numbers(data: bytes, entry: _HeaderEntry | None) -> list[int]:
    if entry is None or entry.kind != _INT32 or entry.place + 4 * entry.many > len(data):
        return []
    return [int.from_bytes(data[at : at + 4]) for at in range(entry.place, entry.place + 4 * entry.many, 4)]
