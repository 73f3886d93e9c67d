"""What a name means in one file: its codes, its other names, where it was inlined, and what the file does not have.

A frame carries one name of its code. A question may be asked with any of them, so the index keeps all:

- a name can mean several codes: two versions of one function, or static functions of two source files;
- a code can have several names: aliases, constructors that compile to the same, functions that the linker folded;
- the code of an IFUNC is only its resolver, which chooses at load time the function that runs under the name;
- code of a function can stand in others, into which it was inlined. What a file says of that is never more than its
  inline tree or debug information covers (`InlineKnowledge`).
"""

import difflib
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import NO_PLACE, NameTrait, SymbolOrigin
from agents.symbols.resolver_names import implements

_INLINES: Final = SymbolOrigin.GO_INLINE_TREE | SymbolOrigin.DWARF_INLINES

# difflib compares a pair in some 20 µs; of a library's 70,000 names a few thousand have about one length.
_MAX_COMPARED: Final = 20_000
_LENGTH_TOLERANCE: Final = 2

# Itanium C++ ABI 5.1.4.3: the kind of a constructor or destructor, before its parameters or template arguments
_STRUCTOR: Final = re.compile(r"([CD])[0-35](?=[EI])")
# 5.1.2: an internal name, one of an unnamed namespace, one inside a function, an unnamed type
_INTERNAL: Final = re.compile(r"_ZN?L|\dL\d|_GLOBAL__N|_ZZ|_ZNK?Z|U[lt]|[A-Z]L\d")
_MAX_LENGTH_DIGITS: Final = 5
_LENGTH: Final = re.compile(r"\d+")


class FunctionCode(NamedTuple):
    """The code at one address, by one of its names.

    `size` is 0 where the file does not say it. `names` are all names of the address, the one that its frames carry
    first. `frame_symbol` and `frame_offset` are what a frame at the first byte says; the offset is not 0 where the name
    is a label inside another function, and the symbol is None where no name covers the byte. `is_resolver`: the name is
    an IFUNC, and this is only the code that chooses what runs under it.
    """

    address: int
    size: int
    names: tuple[str, ...]
    frame_symbol: str | None
    frame_offset: int
    is_exported: bool
    is_resolver: bool


class InlinedCopy(NamedTuple):
    """A copy of a function inside another: where it begins, and the function whose frames stand for it."""

    address: int
    host: str | None


class InlineKnowledge(NamedTuple):
    """What a file says of inlined functions: of its `functions` functions, `described` tell what was put into them.

    `sources` are GO_INLINE_TREE and DWARF_INLINES, or neither; then nothing is known.
    """

    sources: SymbolOrigin
    described: int
    functions: int

    @property
    def is_whole(self) -> bool:
        """Whether a function that no copy is known of was inlined nowhere in this file.

        Never in what Go or LLVM compiled: they do not tell of a copy whose instructions are all its caller's.
        """
        return self.sources == SymbolOrigin.DWARF_INLINES and 0 < self.functions == self.described

    @property
    def share(self) -> float:
        """The part of the functions that is described, 0 to 1."""
        return self.described / self.functions if self.sources and self.functions else 0.0


class FunctionNames:
    """Answers about the names of an index."""

    def __init__(self, index: SymbolIndex) -> None:
        """Takes no copy of the names; each answer reads the index."""
        self._index = index
        self._parts = index.parts
        self._count = len(index.parts.name_offsets) - 1
        head = index.head
        self.code_digest = head.code_digest
        self.inline_knowledge = InlineKnowledge(head.origins & _INLINES, head.described, head.functions)

    def address_of(self, file_offset: int) -> int | None:
        """The address of a place in the file; None where no code is there."""
        return self._index.address_of(file_offset)

    def knows(self, name: str) -> bool:
        """Whether the file has this name, as a function of its own or inlined."""
        return bool(name) and (self._number(name) is not None or bool(self.copies(name)))

    def codes(self, name: str) -> tuple[FunctionCode, ...]:
        """Every code that `name` means, in order of address; empty where the file has no function of its own for it."""
        number = self._number(name)
        if number is None:
            return ()
        by_name, names = self._parts.functions_by_name, self._parts.function_names
        first = bisect_left(by_name, number, key=names.__getitem__)
        behind = bisect_right(by_name, number, key=names.__getitem__)
        return tuple(self._code(by_name[at]) for at in range(first, behind))

    def names_at(self, address: int) -> tuple[str, ...]:
        """Every name of the function that begins at `address`, the one that frames carry first."""
        addresses = self._parts.function_addresses
        first, behind = bisect_left(addresses, address), bisect_right(addresses, address)
        names = [self._index.name(self._parts.function_names[at]) for at in range(first, behind)]
        covering = self._index.range_of(address)
        chosen = covering.name if covering is not None and covering.start - covering.delta == address else None
        return tuple(sorted(names, key=lambda name: (name != chosen, name)))

    def is_resolver(self, name: str) -> bool:
        """Whether `name` is an IFUNC, whose own code only chooses what runs under the name."""
        return any(code.is_resolver for code in self.codes(name))

    def implementations(self, name: str) -> tuple[str, ...]:
        """Functions that run under the name of an IFUNC, as far as the file names them; resolver_names.py has the rule.

        Nothing proves that these are all.
        """
        asked = {other for code in self.codes(name) if code.is_resolver for other in code.names}
        return tuple(
            sorted(
                {
                    found
                    for one in asked
                    for prefix in (f"__{one}_", f"{one}.", f"{one}_", f"_{one}_")
                    for found in self.names_starting_with(prefix)
                    if implements(found, one) and self.codes(found)
                }
                - asked
            )
        )

    def copies(self, name: str) -> tuple[InlinedCopy, ...]:
        """Every known copy of a function inside others, in order of address; see `inline_knowledge`."""
        return tuple(InlinedCopy(one, self._host(one)) for one in sorted(self._places(name)) if one != NO_PLACE)

    def has_lost_copies(self, name: str) -> bool:
        """Whether a function was inlined somewhere, and nothing tells where."""
        return NO_PLACE in self._places(name)

    def _places(self, name: str) -> set[int]:
        names, addresses = self._parts.copy_names, self._parts.copy_addresses
        found: set[int] = set()
        for one in {name, *self._spellings(name)} if len(names) else ():
            if (number := self._number(one)) is not None:
                found |= set(addresses[bisect_left(names, number) : bisect_right(names, number)])
        return found

    def all_names(self) -> Iterator[str]:
        """Every name of the file, in byte order; 70,000 of a large library."""
        return map(self._index.name, range(self._count))

    def long_names(self, min_chars: int) -> Iterator[str]:
        """Every name that has at least so many bytes, in byte order."""
        offsets = self._parts.name_offsets
        for number in range(self._count):
            if offsets[number + 1] - offsets[number] >= min_chars:
                yield self._index.name(number)

    def names_with(self, word: str) -> Iterator[str]:
        """Every name that has `word` in it, in byte order: the bytes of all names are searched at once."""
        if not word:
            yield from self.all_names()
            return
        encoded, offsets = word.encode(), self._parts.name_offsets
        content = bytes(self._parts.names)
        at = content.find(encoded)
        while at >= 0:
            number = bisect_right(offsets, at) - 1
            end = offsets[number + 1]
            if at + len(encoded) <= end:
                yield self._index.name(number)
                at = content.find(encoded, end)
            else:  # across the end of a name
                at = content.find(encoded, at + 1)

    def names_starting_with(self, prefix: str) -> Iterator[str]:
        """Every name that begins with `prefix`, in byte order."""
        for number in range(self._place(prefix.encode()), self._count):
            name = self._index.name(number)
            if not name.startswith(prefix):
                return
            yield name

    def spans(self, addresses: Iterable[int]) -> list[tuple[int, int]]:
        """First byte, and the one behind the last, of the code at each address; of one byte where nothing says more."""
        found: set[tuple[int, int]] = set()
        for address in addresses:
            found.add((address, address + 1))
            covering = self._index.range_of(address)
            if covering is not None:
                found.add((covering.start, covering.start + covering.length))
        return sorted(found)

    def names_over(self, spans: Sequence[tuple[int, int]]) -> dict[str, bool]:
        """Every name that frames in these spans carry, or that a function there has.

        True if all of the name's code lies in the spans.
        """
        parts = self._parts
        starts, addresses = parts.range_starts, parts.function_addresses
        numbers: set[int] = set()
        for first, behind in spans:
            at = max(bisect_right(starts, first) - 1, 0)
            numbers |= {
                parts.range_names[one]
                for one in range(at, bisect_left(starts, behind))
                if starts[one] + parts.range_lengths[one] > first
            }
            numbers |= set(parts.function_names[bisect_left(addresses, first) : bisect_left(addresses, behind)])
        return {
            self._index.name(number): all(_is_within(one, spans) for one in self._code_of(number))
            for number in sorted(numbers)
        }

    def _code_of(self, number: int) -> Iterator[tuple[int, int]]:
        """Every range that a name stands for, and the first byte of every function that has it."""
        parts, names = self._parts, self._parts.range_names
        order = self._ranges_by_name
        for at in order[
            bisect_left(order, number, key=names.__getitem__) : bisect_right(order, number, key=names.__getitem__)
        ]:
            yield parts.range_starts[at], parts.range_starts[at] + parts.range_lengths[at]
        by_name, functions = parts.functions_by_name, parts.function_names
        for place in range(
            bisect_left(by_name, number, key=functions.__getitem__),
            bisect_right(by_name, number, key=functions.__getitem__),
        ):
            address = parts.function_addresses[by_name[place]]
            yield address, address + 1

    @cached_property
    def _ranges_by_name(self) -> "array[int]":
        return array("I", sorted(range(self._index.range_count), key=self._parts.range_names.__getitem__))

    def nearest(self, name: str, count: int = 3) -> tuple[str, ...]:
        """Names of the file that are spelled like `name`, the nearest first."""
        offsets, length = self._parts.name_offsets, len(name.encode())
        alike = [
            self._index.name(number)
            for number in range(self._count)
            if abs(offsets[number + 1] - offsets[number] - length) <= _LENGTH_TOLERANCE
        ]
        return tuple(difflib.get_close_matches(name, alike[:_MAX_COMPARED], n=count, cutoff=0.75))

    def _spellings(self, name: str) -> Iterator[str]:
        """Other names under which DWARF may have copies of a C++ function; rather one too many than one too few.

        A constructor is inlined under one name (C4), and called under others (C1, C2). GCC gives functions that no
        other file can call no linker's name, but the one in the source.
        """
        if not name.startswith("_Z"):
            return
        yield _STRUCTOR.sub(r"\g<1>4", name)
        if _INTERNAL.search(name) is not None:
            for plain in _source_names(name):
                yield plain
                yield from self.names_starting_with(f"{plain}<")
            yield from self.names_starting_with("operator")

    def _host(self, address: int) -> str | None:
        covering = self._index.range_of(address)
        return None if covering is None else covering.name

    def _code(self, at: int) -> FunctionCode:
        parts = self._parts
        address = parts.function_addresses[at]
        traits = NameTrait(parts.function_traits[at])
        covering = self._index.range_of(address)
        return FunctionCode(
            address,
            parts.function_sizes[at],
            self.names_at(address),
            None if covering is None else covering.name,
            0 if covering is None else address - covering.start + covering.delta,
            NameTrait.EXPORTED in traits,
            NameTrait.RESOLVER in traits,
        )

    def _number(self, name: str) -> int | None:
        place = self._place(name.encode())
        return place if place < self._count and self._index.name(place) == name else None

    def _place(self, encoded: bytes) -> int:
        offsets, names = self._parts.name_offsets, self._parts.names
        return bisect_left(
            range(self._count), encoded, key=lambda number: bytes(names[offsets[number] : offsets[number + 1]])
        )


def _is_within(code: tuple[int, int], spans: Iterable[tuple[int, int]]) -> bool:
    return any(first <= code[0] and code[1] <= behind for first, behind in spans)


def _source_names(mangled: str) -> Iterator[str]:
    """The names in a mangled one: each stands behind its length."""
    at = 0
    while (length := _LENGTH.search(mangled, at)) is not None:
        at = length.end()
        size = int(length[0][:_MAX_LENGTH_DIGITS])
        yield mangled[at : at + size]
        at += size
