"""The functions of a file by all their names, as readelf prints them: a reader that shares no code with ours."""

import re
import shutil
import subprocess
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from elftools.elf.elffile import ELFFile

_SYMBOL: Final = re.compile(
    r"\s*\d+: (?P<address>[0-9a-f]+)\s+(?P<size>\d+|0x[0-9a-f]+) (?P<type>FUNC|IFUNC)\s+(?P<binding>\w+)\s+\w+\s+"
    r"(?:\[[^]]*\]\s+)?(?P<section>\w+) (?P<name>\S.*?)(?:@.*)?\Z"
)
_SEGMENT: Final = re.compile(r"\s+LOAD\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+)\s+0x[0-9a-f]+\s")


@dataclass
class NamedFunctions:
    """The functions of one file. Addresses are the file's own."""

    addresses: dict[str, set[int]] = field(default_factory=dict)
    """By name."""
    sizes: dict[int, int] = field(default_factory=dict)
    """By address, the largest that a symbol says; 0 where none does."""
    exported: set[str] = field(default_factory=set)
    ifuncs: set[str] = field(default_factory=set)
    segments: list[tuple[int, int, int]] = field(default_factory=list)
    """Address, file offset and size in the file of what is loaded."""

    def file_offset(self, address: int) -> int:
        """Where in the file a byte is. Raises ValueError if it is in none of the loaded segments."""
        for begin, offset, size in self.segments:
            if begin <= address < begin + size:
                return address - begin + offset
        raise ValueError(f"address {address:#x} is in no segment")

    def covering(self, address: int) -> Iterator[int]:
        """Addresses of the sized functions that another one begins inside of."""
        begins, longest = self._by_address
        near = begins[bisect_right(begins, address - longest) : bisect_left(begins, address)]
        return (begin for begin in near if address < begin + self.sizes[begin])

    @cached_property
    def _by_address(self) -> tuple[list[int], int]:
        """Addresses in order, and the largest size; for when all functions are known."""
        return sorted(self.sizes), max(self.sizes.values(), default=0)


def named_functions(file: Path) -> NamedFunctions:
    """Every function that the file exports or defines. Raises CalledProcessError if readelf cannot read it."""
    found = NamedFunctions()
    printed = subprocess.run(
        ["readelf", "--wide", "--syms", "--segments", file], check=True, capture_output=True, text=True
    ).stdout
    is_exporting = False
    for line in printed.splitlines():
        if line.startswith("Symbol table"):
            is_exporting = ".dynsym" in line
        elif (segment := _SEGMENT.match(line)) is not None:
            offset, address, size = (int(text, 16) for text in segment.groups())
            found.segments.append((address, offset, size))
        elif (symbol := _SYMBOL.match(line)) is not None and symbol["section"] != "UND":
            _add(found, symbol, is_exporting)
    return found


def _add(found: NamedFunctions, symbol: re.Match[str], is_exported: bool) -> None:
    name, address = symbol["name"], int(symbol["address"], 16)
    found.addresses.setdefault(name, set()).add(address)
    found.sizes[address] = max(found.sizes.get(address, 0), int(symbol["size"], 0))
    if is_exported and symbol["binding"] != "LOCAL":
        found.exported.add(name)
    if symbol["type"] == "IFUNC":
        found.ifuncs.add(name)


def inlined_at(file: Path, addresses: Iterable[int]) -> Mapping[int, set[str]]:
    """What other readers say stands at each address: the function, and all that were inlined there.

    Both addr2lines are asked, as far as they are installed: that of binutils 2.40 does not find Go's inlined functions,
    and LLVM's not all that were inlined into inlined ones.
    """
    asked = "".join(f"{address:#x}\n" for address in addresses)
    found: dict[int, set[str]] = {}
    for tool in filter(shutil.which, ("addr2line", "llvm-addr2line")):
        printed = subprocess.run(
            [tool, "-a", "-f", "-i", "-e", file], input=asked, check=True, capture_output=True, text=True
        ).stdout
        lines = iter(printed.splitlines())
        address = 0
        for line in lines:
            if line.startswith("0x"):
                address = int(line, 16)
                found.setdefault(address, set())
            else:
                found[address].add(line)
                next(lines)  # file and line
    return found


def emptied_at(file: Path, addresses: set[int]) -> set[int]:
    """Those of the addresses at which debug information has an inlined function of no bytes of its own.

    The compiler spread its work over the code around it. No addr2line shows it, so pyelftools reads the entries.
    """
    found: set[int] = set()
    with _debug_file(file).open("rb") as stream:
        elf = ELFFile(stream)
        if not addresses or not elf.has_dwarf_info():
            return found
        dwarf = elf.get_dwarf_info()
        tables = dwarf.get_aranges()
        asked = () if tables is None else (tables.cu_offset_at_addr(address) for address in addresses)
        places = {place for place in asked if place is not None}
        for unit in (dwarf.get_CU_at(place) for place in sorted(places)):
            for entry in unit.iter_DIEs():
                begin = entry.attributes.get("DW_AT_low_pc")
                end = entry.attributes.get("DW_AT_high_pc")
                if entry.tag == "DW_TAG_inlined_subroutine" and begin is not None and end is not None and not end.value:
                    found.add(begin.value)
    return found & addresses


def _debug_file(file: Path) -> Path:
    """The file that has the debug information: this one, or the one that the system keeps for its build id."""
    printed = subprocess.run(["readelf", "--notes", file], check=True, capture_output=True, text=True).stdout
    note = re.search(r"Build ID: ([0-9a-f]{2})([0-9a-f]+)", printed)
    apart = Path("/usr/lib/debug/.build-id") / note[1] / f"{note[2]}.debug" if note is not None else file
    return apart if apart.exists() else file
