"""Go's build information in an ELF file: the version of Go and the modules that the program was built from.

debug/buildinfo and runtime/debug in Go's repository: 16 bytes begin with a magic word, at a multiple of 16 in a data
segment. Since Go 1.18 two texts follow them, each behind its length. Before that, two pointers lead to the texts, each
to its address and length. The text of the modules stands between marks of 16 bytes.
"""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from app.symbols.elf import ElfStructure, FileRange

_MAGIC: Final = b"\xff Go buildinf:"
_ALIGNMENT: Final = 16
_HEADER: Final = 32
_POINTER_SIZE: Final = 14
_FLAGS: Final = 15
_BIG_ENDIAN: Final = 1
_INLINE: Final = 2
_MARK: Final = 16
_MAX_VARINT: Final = 10

MAX_TEXT_BYTES: Final = 4 << 20
"""Of either text. Kubernetes has some 30 kB of modules."""

_WINDOW: Final = 1 << 20


class GoBuildTexts(NamedTuple):
    """The version of Go that built a file, and the text of its modules and settings, empty where it has none."""

    go_version: str
    modules: str


def go_build_texts(data: memoryview, structure: ElfStructure) -> GoBuildTexts | None:
    """What Go wrote into a file; None where there is nothing, or nothing that can be read."""
    part = structure.go_build_info
    starts = [part.offset] if part is not None else _places(data, structure.loaded)
    end = len(data) if part is None else part.offset + part.size
    for start in starts:
        header = bytes(data[start : start + _HEADER])
        if len(header) < _HEADER or not header.startswith(_MAGIC):
            continue
        texts = _inline(data[:end], start) if header[_FLAGS] & _INLINE else _pointed(data, header, structure)
        if texts is not None:
            return texts
    return None


def _places(data: memoryview, loaded: tuple[FileRange, ...]) -> Iterator[int]:
    """Where the magic word is in the segments, for files without a section table."""
    for part in loaded:
        for start in range(part.offset, part.offset + part.size, _WINDOW):
            window = bytes(data[start : min(start + _WINDOW + _HEADER, part.offset + part.size)])
            at = window.find(_MAGIC)
            while at >= 0:
                if (start + at - part.offset) % _ALIGNMENT == 0 and at < _WINDOW:
                    yield start + at
                at = window.find(_MAGIC, at + 1)


def _inline(data: memoryview, start: int) -> GoBuildTexts | None:
    version = _counted(data, start + _HEADER)
    if version is None:
        return None
    modules = _counted(data, version[1])
    return _texts(version[0], b"" if modules is None else modules[0])


def _counted(data: memoryview, at: int) -> tuple[bytes, int] | None:
    """The bytes behind their length, which is a varint, and where they end."""
    size = shift = 0
    for byte in bytes(data[at : at + _MAX_VARINT]):
        at += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    else:
        return None
    if size > MAX_TEXT_BYTES or at + size > len(data):
        return None
    return bytes(data[at : at + size]), at + size


def _pointed(data: memoryview, header: bytes, structure: ElfStructure) -> GoBuildTexts | None:
    width = header[_POINTER_SIZE]
    if width not in {4, 8}:
        return None
    order: Literal["little", "big"] = "big" if header[_FLAGS] & _BIG_ENDIAN else "little"

    def number(at: int) -> int:
        return int.from_bytes(data[at : at + width], order)

    def text(address: int) -> bytes | None:
        place = _file_offset(address, 2 * width, structure.loaded)
        if place is None:
            return None
        size = number(place + width)
        content = _file_offset(number(place), size, structure.loaded)
        return None if content is None or size > MAX_TEXT_BYTES else bytes(data[content : content + size])

    pointers = (header[16 : 16 + width], header[16 + width : 16 + 2 * width])
    version, modules = (text(int.from_bytes(one, order)) for one in pointers)
    return None if version is None else _texts(version, modules or b"")


def _file_offset(address: int, size: int, loaded: tuple[FileRange, ...]) -> int | None:
    for part in loaded:
        if part.address <= address and address + size <= part.address + part.size:
            return part.offset + address - part.address
    return None


def _texts(version: bytes, modules: bytes) -> GoBuildTexts | None:
    """The texts without the marks; None where they are not text."""
    is_marked = len(modules) > 2 * _MARK and modules[-_MARK - 1 : -_MARK] == b"\n"
    try:
        text = modules[_MARK:-_MARK].decode() if is_marked else ""
        return GoBuildTexts(version.decode(), text) if version else None
    except UnicodeDecodeError:
        return None
