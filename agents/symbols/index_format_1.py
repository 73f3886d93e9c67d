"""Indexes of format 1, which recorded runs refer to by digest: read as if they had been written today.

Such an index knows one name of each function, whether stripping leaves it or not, and nothing of inlined copies. So
whoever asks what a name means gets "not known" rather than a wrong answer. `symbols add` replaces it.
"""

from hashlib import sha256
from itertools import accumulate
from struct import Struct
from typing import Final

from agents.symbols.index_format import (
    CodeRanges,
    IndexContent,
    IndexFormatError,
    LineRows,
    NamedFunctions,
    NameTrait,
    SymbolOrigin,
    encode_index,
    read_segments,
)

# magic, version, origins, reserved, machine, ELF type, code digest,
# bytes of the build id, segments, ranges, bytes of names, line rows, source files, bytes of their names
_HEADER: Final = Struct("<8sHBBHH32sIIIQIIQ4x")
_PART_TYPES: Final = "BBQIIIIBQIIIB"
_TYPE_BYTES: Final = {"B": 1, "I": 4, "Q": 8}
_SEGMENT_BYTES: Final = 24


def read_as_today(view: memoryview) -> memoryview:
    """A whole index of format 1 in today's format. Raises IndexFormatError."""
    digest_bytes = sha256().digest_size
    if len(view) < _HEADER.size + digest_bytes:
        raise IndexFormatError("shorter than a header")
    if sha256(view[:-digest_bytes]).digest() != bytes(view[-digest_bytes:]):
        raise IndexFormatError("its checksum does not agree with its content")
    _, _, origins, _, machine, elf_type, code_digest, *counts = _HEADER.unpack_from(view)
    id_bytes, segments, ranges, name_bytes, rows, files, file_bytes = counts
    items = [id_bytes, segments * _SEGMENT_BYTES, *[ranges] * 5, name_bytes, *[rows] * 3, files + 1, file_bytes]
    sizes = [_TYPE_BYTES[code] * number for code, number in zip(_PART_TYPES, items, strict=True)]
    *at, end = accumulate((size + -size % 8 for size in sizes), initial=_HEADER.size)
    if end + digest_bytes != len(view):
        raise IndexFormatError("its length does not agree with its header")
    build_id, segment_part, starts, lengths, deltas, name_offsets, name_lengths, names, *line_parts = [
        view[start : start + size].cast(code) if code != "B" else view[start : start + size]  # type: ignore[call-overload]
        for start, size, code in zip(at, sizes, _PART_TYPES, strict=True)
    ]
    texts = [
        str(names[offset : offset + length], "utf-8") for offset, length in zip(name_offsets, name_lengths, strict=True)
    ]
    addresses, line_files, numbers, file_offsets, file_names = line_parts
    file_texts = [str(file_names[file_offsets[i] : file_offsets[i + 1]], "utf-8") for i in range(files)]
    begun = sorted({(starts[i], lengths[i], texts[i]) for i in range(ranges) if not deltas[i]})
    return memoryview(
        encode_index(
            IndexContent(
                bytes(build_id).decode("ascii"),
                machine,
                elf_type,
                SymbolOrigin(origins),
                code_digest,
                read_segments(segment_part),
                CodeRanges(starts, lengths, deltas, texts),
                NamedFunctions(
                    [start for start, _, _ in begun],
                    [length for _, length, _ in begun],
                    [text for _, _, text in begun],
                    [NameTrait.EXPORTED | NameTrait.GLOBAL] * len(begun),
                ),
                lines=LineRows(addresses, line_files, numbers, file_texts),
            )
        )
    )
