"""The DWARF sections of a file, unpacked: zlib and zstd as ELF compresses them, and GNU's older .zdebug.

pyelftools unpacks zlib only, and cannot say what it does not know.
"""

import enum
import zlib
from io import BytesIO
from typing import Final

import cramjam
from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

from app.symbols.elf import ByteOrder, DebugSection, ElfStructure
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError

# The DWARF of libLLVM has some 2 GB, most of it types, which nobody reads here; the limit on memory is behind this one.
MAX_UNPACKED_BYTES: Final = 2 * 2**30

_ZDEBUG_HEADER_BYTES: Final = 12  # "ZLIB", then the size as 8 bytes, big-endian


class _Compression(enum.IntEnum):
    """Types of an ELF compression header."""

    ZLIB = 1
    ZSTD = 2


_WANTED: Final = (
    "debug_info",
    "debug_abbrev",
    "debug_str",
    "debug_line",
    "debug_line_str",
    "debug_addr",
    "debug_str_offsets",
    "debug_ranges",
    "debug_rnglists",
)


def dwarf_sections(data: memoryview, structure: ElfStructure) -> dict[str, memoryview]:
    """The sections that lines and inlined functions are read from, by name without the dot.

    Raises FileRefusedError if one is packed in an unknown way, or unpacks to more than the limit.
    """
    found: dict[str, memoryview] = {}
    unpacked = 0
    for section in structure.dwarf:
        name = section.name.removeprefix(".")
        if name not in _WANTED or name in found:
            continue
        found[name] = _content(data, section, structure, MAX_UNPACKED_BYTES - unpacked)
        unpacked += len(found[name])
    return found


def dwarf_info(sections: dict[str, memoryview], structure: ElfStructure) -> DWARFInfo:
    """Pyelftools' reader of these sections."""
    described = {
        f"{name}_sec": DebugSectionDescriptor(
            stream=BytesIO(content), name=f".{name}", global_offset=0, size=len(content), address=0
        )
        for name, content in sections.items()
    }
    absent = dict.fromkeys(
        [
            *(f"{name}_sec" for name in _WANTED if name not in sections),
            *(f"debug_{name}_sec" for name in ("aranges", "frame", "loc", "loclists", "pubtypes", "pubnames", "sup")),
            *("eh_frame_sec", "gnu_debugaltlink_sec", "debug_types_sec"),
        ]
    )
    config = DwarfConfig(
        little_endian=structure.byte_order == "little",
        machine_arch="",
        default_address_size=8 if structure.is_64 else 4,
    )
    return DWARFInfo(config=config, **described, **absent)


def _content(data: memoryview, section: DebugSection, structure: ElfStructure, limit: int) -> memoryview:
    part = data[section.part.offset : section.part.offset + section.part.size]
    if section.is_zdebug and bytes(part[:4]) == b"ZLIB":
        return _inflated(part[_ZDEBUG_HEADER_BYTES:], int.from_bytes(part[4:_ZDEBUG_HEADER_BYTES], "big"), limit)
    if not section.is_compressed:
        return part
    kind, size, header_bytes = _compression_header(part, structure.byte_order, is_64=structure.is_64)
    match kind:
        case _Compression.ZLIB:
            return _inflated(part[header_bytes:], size, limit)
        case _Compression.ZSTD:
            return _decompressed(part[header_bytes:], size, limit)
        case _:
            raise FileRefusedError(FileRefusalReason.UNKNOWN_COMPRESSION, f"{section.name}: type {kind}")


def _compression_header(part: memoryview, order: ByteOrder, *, is_64: bool) -> tuple[int, int, int]:
    """Kind of compression, size of the content, and bytes of this header (gABI "Compressed Sections")."""
    size_at, word = (8, 8) if is_64 else (4, 4)
    return (
        int.from_bytes(part[:4], order),
        int.from_bytes(part[size_at : size_at + word], order),
        24 if is_64 else 12,
    )


def _inflated(packed: memoryview, size: int, limit: int) -> memoryview:
    _check(size, limit)
    decoder = zlib.decompressobj()
    try:
        content = decoder.decompress(packed, size + 1)
    except zlib.error as error:
        raise FileRefusedError(FileRefusalReason.MALFORMED, "a section is not zlib data") from error
    return _sized(content, size)


def _decompressed(packed: memoryview, size: int, limit: int) -> memoryview:
    _check(size, limit)
    content = bytearray(size)
    try:
        written = cramjam.zstd.decompress_into(packed, content)
    except cramjam.DecompressionError as error:  # also if there is more than fits
        raise FileRefusedError(FileRefusalReason.MALFORMED, "a section is not zstd data") from error
    return _sized(content[:written], size)


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise FileRefusedError(FileRefusalReason.OVER_LIMIT, "debug information unpacks to more than the limit")


def _sized(content: bytes | bytearray, size: int) -> memoryview:
    if len(content) != size:
        raise FileRefusedError(FileRefusalReason.MALFORMED, "a section unpacks to another size than it says")
    return memoryview(content)
