"""Indexes of format 1, which recorded runs refer to by digest: read as if they had been written today.

Such an index knows one name of each function, whether stripping leaves it or not, and nothing of inlined copies. So
whoever asks what a name means gets "not known" rather than a wrong answer. `symbols add` replaces it.
"""

from struct import Struct
from typing import Final

from agents.symbols.index_format import (
    SEGMENT_BYTES,
    CodeRanges,
    IndexContent,
    LineRows,
    NamedFunctions,
    NameTrait,
    PartType,
    SymbolOrigin,
    encode_index,
    mapped_parts,
    read_header,
    read_segments,
)

# magic, version, origins, reserved, machine, ELF type, code digest,
# bytes of the build id, segments, ranges, bytes of names, line rows, source files, bytes of their names
_HEADER: Final = Struct("<8sHBBHH32sIIIQIIQ4x")
_PART_TYPES: Final[tuple[PartType, ...]] = (*"BBQIIIIBQIIIB",)


def read_as_today(view: memoryview) -> memoryview:
    """A whole index of format 1 in today's format. Raises IndexFormatError."""
    _, _, origins, _, machine, elf_type, code_digest, *counts = read_header(view, _HEADER)
    id_bytes, segments, ranges, name_bytes, rows, files, file_bytes = counts
    items = [id_bytes, segments * SEGMENT_BYTES, *[ranges] * 5, name_bytes, *[rows] * 3, files + 1, file_bytes]
    build_id, segment_part, starts, lengths, deltas, name_offsets, name_lengths, names, *line_parts = mapped_parts(
        view, _HEADER, _PART_TYPES, items
    )
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
