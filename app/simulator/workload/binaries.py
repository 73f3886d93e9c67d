"""Real functions of real ELF files: those that the running interpreter has mapped.

A stack is worth showing only if its offsets are true, so they are read from this machine's own libc, libpython,
libssl and the like. They are found in /proc/self/maps after importing the standard library modules that load them,
and recognised by a function that they define, because file names differ between systems. A function's file offset is
`st_value - p_vaddr + p_offset` of the PT_LOAD that holds it (ELF gABI, "Program Header").

It shares no code with the symbol store on purpose: a mistake in one of them shows as frames that do not resolve.
"""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import NoteSegment

from app.operators.errors import OperatorError

_BRINGING_LIBRARIES: Final = ("ssl", "sqlite3", "zlib", "socket", "hashlib", "_hashlib")
"""Standard library modules whose import maps shared libraries worth showing; a Python may lack any of them."""

_ROLES: Final = {
    "libc": "__libc_start_main",
    "python": "Py_RunMain",
    "ssl": "SSL_write",
    "crypto": "EVP_DigestUpdate",
    "sqlite": "sqlite3_step",
    "zlib": "deflate",
    "_ssl": "PyInit__ssl",
    "_sqlite3": "PyInit__sqlite3",
    "_socket": "PyInit__socket",
    "_zlib": "PyInit_zlib",
}
"""A function that a library of this role defines, and no other."""

_STT_FUNC: Final = 2
_ENTRY_64: Final = "IBBHQQ"  # Elf64_Sym: st_name, st_info, st_other, st_shndx, st_value, st_size
_ENTRY_32: Final = "IIIBBH"  # Elf32_Sym: st_name, st_value, st_size, st_info, st_other, st_shndx
_PF_X: Final = 1

_IMAGE_PREFIX: Final = "/usr/local"
"""Where the interpreter's own prefix appears to be, as in the images of the Python project."""


class NoBinariesError(OperatorError):
    """This machine shows no ELF file with functions: `str` says what was looked for."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Function:
    """A function: `file_offset` and `size` in bytes."""

    name: str
    file_offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Binary:
    """An ELF file: where it lies, its path as a container would have it, and its functions in order of file offset."""

    file: Path
    path: str
    build_id: bytes
    functions: tuple[Function, ...]

    def named(self, *names: str) -> list[Function]:
        """Those of the functions that the file has, in the order of `names`."""
        known = {function.name: function for function in self.functions}
        return [known[name] for name in names if name in known]


@cache
def mapped_binaries() -> dict[str, Binary]:
    """Binaries of this process by role: `libc`, `python`, `ssl` and the like; those that are missing are left out.

    Raises NoBinariesError where there is not one.
    """
    for name in _BRINGING_LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    found: dict[str, Binary] = {}
    for file in _mapped_files():
        binary = _read(file)
        for role, function in _ROLES.items():
            if binary is not None and role not in found and binary.named(function):
                found[role] = binary
    if not found:
        raise NoBinariesError("no ELF file with function symbols is mapped into this process; a Linux is needed")
    return found


def _mapped_files() -> list[Path]:
    """Files that this process has mapped as executable, in order of path."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return []
    files = set()
    for line in maps.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, permissions, _, _, _, *path = line.split(maxsplit=5)
        if "x" in permissions and path and path[0].startswith("/"):
            files.add(Path(path[0]))
    return sorted(file for file in files if file.is_file())


def _read(file: Path) -> Binary | None:
    try:
        with file.open("rb") as stream:
            elf = ELFFile(stream)
            functions = sorted(_functions(elf, stream), key=lambda one: (one.file_offset, one.name))
            return Binary(file, _in_image(file), _build_id(elf), tuple(functions)) if functions else None
    except (OSError, ELFError):
        return None  # replaced or removed since it was mapped


def _functions(elf: ELFFile, stream: BinaryIO) -> Iterator[Function]:
    """Functions of the full symbol table where it is there, else of the dynamic one."""
    table = elf.get_section_by_name(".symtab") or elf.get_section_by_name(".dynsym")
    if table is None:
        return
    loaded = [segment for segment in elf.iter_segments("PT_LOAD") if segment["p_flags"] & _PF_X]
    names = elf.get_section(table["sh_link"]).data()
    stream.seek(table["sh_offset"])
    content = stream.read(table["sh_size"])
    byte_order = "<" if elf.little_endian else ">"
    for entry in Struct(byte_order + (_ENTRY_64 if elf.elfclass == 64 else _ENTRY_32)).iter_unpack(content):
        if elf.elfclass == 64:
            name_at, info, _, section, address, size = entry
        else:
            name_at, address, size, info, _, section = entry
        if info & 0xF != _STT_FUNC or not section or not size:
            continue
        name = names[name_at : names.index(b"\0", name_at)].decode("utf-8", "replace")
        for segment in loaded:
            start = segment["p_vaddr"]
            if start <= address and address + size <= start + segment["p_filesz"]:
                yield Function(name, address - start + segment["p_offset"], size)


def _build_id(elf: ELFFile) -> bytes:
    """Content of the NT_GNU_BUILD_ID note; empty where there is none."""
    for segment in elf.iter_segments("PT_NOTE"):
        assert isinstance(segment, NoteSegment)
        for note in segment.iter_notes():
            if note["n_type"] == "NT_GNU_BUILD_ID":
                return bytes.fromhex(note["n_desc"])
    return b""


def _in_image(file: Path) -> str:
    """The path as a container would have it, without the home directory that an interpreter may lie in."""
    prefix = Path(sys.base_prefix).resolve()
    if prefix != Path("/usr") and file.is_relative_to(prefix):
        return f"{_IMAGE_PREFIX}/{file.relative_to(prefix)}"
    return str(file)
