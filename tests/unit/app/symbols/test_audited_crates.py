"""The crates in a file's section are read within limits, and a damaged section says so."""

import json
import zlib
from io import BytesIO

import pytest

from agents.vulnerabilities.advisory import AdvisoryFault, AdvisoryRefusal
from agents.vulnerabilities.cargo_audit import Crate
from app.symbols.audited_crates import MAX_JSON_BYTES, audited_crates
from app.symbols.elf import read_structure
from tests.support.elf_files import ElfFile

_JSON = json.dumps({"packages": [{"name": "smallvec", "version": "0.6.9", "source": "crates.io"}]}).encode()


def _crates_of(elf: ElfFile) -> tuple[Crate, ...] | AdvisoryRefusal | None:
    encoded = elf.encode()
    data = memoryview(encoded)
    return audited_crates(data, read_structure(BytesIO(encoded), data))


def test_a_section_has_the_crates() -> None:
    """And a file without it has none, which is not an empty list."""
    assert _crates_of(ElfFile(extra=((".dep-v0", zlib.compress(_JSON)),))) == (Crate("smallvec", "0.6.9", "crates.io"),)
    assert _crates_of(ElfFile()) is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"no zlib", AdvisoryFault.NOT_A_DOCUMENT),
        (zlib.compress(_JSON)[:-8], AdvisoryFault.NOT_A_DOCUMENT),
        (zlib.compress(b"{"), AdvisoryFault.NOT_A_DOCUMENT),
        (zlib.compress(b"[" * 200_000), AdvisoryFault.NOT_A_DOCUMENT),
        (zlib.compress(b"\xff\xfe\xfd"), AdvisoryFault.NOT_A_DOCUMENT),
        (zlib.compress(b" " * (MAX_JSON_BYTES + 1)), AdvisoryFault.TOO_LARGE),
        (zlib.compress(b"[]"), AdvisoryFault.FIELD_TYPE),
    ],
)
def test_a_damaged_section_has_its_reason(content: bytes, fault: AdvisoryFault) -> None:
    """However large it would become."""
    refusal = _crates_of(ElfFile(extra=((".dep-v0", content),)))

    assert isinstance(refusal, AdvisoryRefusal)
    assert refusal.fault is fault
