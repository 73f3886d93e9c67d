"""Go's build information is found in every layout that Go has had, and damaged ones say nothing."""

import shutil
from io import BytesIO
from pathlib import Path

import pytest

from app.symbols.elf import read_structure
from app.symbols.go_build_info import GoBuildTexts, go_build_texts
from tests.support.elf_files import ElfFile

_MAGIC = b"\xff Go buildinf:"
_MODULES = "path\texample.com/app\nmod\texample.com/app\tv1.0.0\n"
_MARKED = b"<" * 16 + _MODULES.encode() + b">" * 16
_EXPECTED = GoBuildTexts("go1.22.4", _MODULES)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*encoded, number))


def _inline(version: bytes = b"go1.22.4", modules: bytes = _MARKED) -> bytes:
    """As Go writes it since 1.18."""
    texts = b"".join(_varint(len(one)) + one for one in (version, modules))
    return (_MAGIC + bytes((8, 2))).ljust(32, b"\0") + texts


def _pointed(width: int, order: str, at: int = 0x1000) -> bytes:
    """As older Go wrote it: pointers to texts, which are pointers and lengths themselves."""

    def number(value: int) -> bytes:
        return value.to_bytes(width, "big" if order == ">" else "little")

    header = _MAGIC + bytes((width, order == ">"))
    strings, texts = at + 32, at + 32 + 4 * width
    version = b"go1.16.15"
    pointers = number(strings) + number(strings + 2 * width)
    pairs = number(texts) + number(len(version)) + number(texts + len(version)) + number(len(_MARKED))
    return (header + pointers).ljust(32, b"\0") + pairs + version + _MARKED


def _texts_of(elf: ElfFile) -> GoBuildTexts | None:
    encoded = elf.encode()
    data = memoryview(encoded)
    return go_build_texts(data, read_structure(BytesIO(encoded), data))


def test_a_section_has_it() -> None:
    """Without the marks around the modules."""
    assert _texts_of(ElfFile(extra=((".go.buildinfo", _inline()),))) == _EXPECTED


@pytest.mark.parametrize("at", [0, 16, 0x800])
def test_a_file_without_sections_has_it_in_a_segment(at: int) -> None:
    """At a multiple of 16; the magic word elsewhere is text."""
    text = (b"\x90" * max(at - 15, 0) + _MAGIC[: max(min(at, 14), 0)]).ljust(at, b"\x90") + _inline()

    assert _texts_of(ElfFile(text=text, with_sections=False)) == _EXPECTED


@pytest.mark.parametrize(("is_64", "order"), [(True, "<"), (True, ">"), (False, "<"), (False, ">")])
def test_pointers_lead_to_it(order: str, *, is_64: bool) -> None:
    """In both classes and byte orders."""
    elf = ElfFile(text=_pointed(8 if is_64 else 4, order), is_64=is_64, order=order, with_sections=False)

    assert _texts_of(elf) == GoBuildTexts("go1.16.15", _MODULES)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        _MAGIC,
        _inline()[:40],
        _inline(version=b""),
        _inline(version=b"\xff\xfe"),
        _inline()[:32] + b"\xff" * 12,
        _inline()[:32] + _varint(1 << 40),
        (_MAGIC + bytes((8, 0)) + b"\xff" * 16).ljust(32, b"\0"),
        (_MAGIC + bytes((3, 0))).ljust(32, b"\0"),
        (_MAGIC + bytes((8, 0)) + (0x1000).to_bytes(8, "little") * 2).ljust(32, b"\xff"),
    ],
)
def test_a_damaged_one_says_nothing(content: bytes) -> None:
    """No length or pointer leads out of the file."""
    assert _texts_of(ElfFile(extra=((".go.buildinfo", content),))) is None


def test_modules_without_their_marks_are_none() -> None:
    """The version is still known."""
    elf = ElfFile(extra=((".go.buildinfo", _inline(modules=b"path\ta\n")),))

    assert _texts_of(elf) == GoBuildTexts("go1.22.4", "")


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go's own command, which is a Go program")
def test_gos_own_command_has_it() -> None:
    """Its path is `cmd/go`."""
    encoded = Path(shutil.which("go") or "").resolve().read_bytes()
    data = memoryview(encoded)
    texts = go_build_texts(data, read_structure(BytesIO(encoded), data))

    assert texts is not None
    assert texts.go_version.startswith("go1.")
    assert texts.modules.startswith("path\tcmd/go\n")
