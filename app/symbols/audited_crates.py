"""The crates that cargo-auditable wrote into an ELF file, inflated within a limit."""

import json
import zlib
from typing import Final

from agents.vulnerabilities.advisory import AdvisoryFault, AdvisoryRefusal
from agents.vulnerabilities.cargo_audit import Crate, read_crates
from app.symbols.elf import ElfStructure

MAX_JSON_BYTES: Final = 8 << 20
"""What its own reader takes at most (auditable-info, DEFAULT_MAX_JSON_SIZE); a hundred crates have some 10 kB."""

_SECTION: Final = ".dep-v0"


def audited_crates(data: memoryview, structure: ElfStructure) -> tuple[Crate, ...] | AdvisoryRefusal | None:
    """The crates of a file, or why its section cannot be read; None where it has no such section."""
    part = structure.audited_crates
    if part is None:
        return None
    inflating = zlib.decompressobj()
    try:
        content = inflating.decompress(data[part.offset : part.offset + part.size], MAX_JSON_BYTES)
    except zlib.error:
        return AdvisoryRefusal(AdvisoryFault.NOT_A_DOCUMENT, _SECTION)
    if not inflating.eof:
        is_large = len(content) == MAX_JSON_BYTES
        return AdvisoryRefusal(AdvisoryFault.TOO_LARGE if is_large else AdvisoryFault.NOT_A_DOCUMENT, _SECTION)
    try:
        return read_crates(json.loads(content))
    except (ValueError, RecursionError):
        return AdvisoryRefusal(AdvisoryFault.NOT_A_DOCUMENT, _SECTION)
