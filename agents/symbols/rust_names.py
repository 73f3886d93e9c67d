"""Rust's mangled names without what only tells one build, impl block or instantiating crate from another.

Legacy mangling ends in a hash of the build: `_ZN5crate5parse17h0123456789abcdefE` is `_ZN5crate5parseE`. In v0 mangling
(RFC 2603) each name may have a disambiguator, and back references count bytes, so a name is read and written again with
its back references counted in pieces. The body of a closure or an async function is a function of its own for the
linker, and a part of the function around it here.
"""

import re
from collections.abc import Callable
from typing import Final

_LEGACY: Final = re.compile(r"(?P<path>_ZN.+?)(?:28_\$u7b\$\$u7b\$closure\$u7d\$\$u7d\$)*17h[0-9a-f]{16}E")
_V0: Final = re.compile(r"_R(?=[A-Z])")
_CLOSURE: Final = "NC"
_MAX_DEPTH: Final = 100
"""Of a v0 name. Real ones have some twenty; a deeper one stays as it is."""

_BASIC_TYPES: Final = frozenset("abcdefhijlmnopstuvxyz")
_BASE_62: Final = re.compile(r"[0-9a-zA-Z]*_")
_IDENTIFIER: Final = re.compile(r"(u?)(0|[1-9][0-9]*)_?")
_HEX: Final = re.compile(r"n?[0-9a-f]*_")


def rust_function(symbol: str) -> str:
    """The function that a name means; every other name stays as it is."""
    if symbol.startswith("_ZN"):
        legacy = _LEGACY.fullmatch(symbol)
        return symbol if legacy is None else legacy["path"] + "E"
    if _V0.match(symbol) is None:
        return symbol
    at = 2
    while symbol.startswith(_CLOSURE, at):
        at += len(_CLOSURE)
    reader = _V0Reader(symbol, at)
    try:
        reader.path()
    except (_NotV0Error, IndexError):
        return symbol
    return "_R" + "".join(reader.pieces)


class _NotV0Error(Exception):
    """The text does not follow the grammar of v0 names."""


class _V0Reader:
    """Reads one path and keeps its pieces; the names of the methods are those of the grammar in RFC 2603."""

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self._at = at
        self._depth = 0
        self._piece_at: dict[int, int] = {}
        self.pieces: list[str] = []

    def path(self) -> None:
        """Read a path."""
        self._enter()
        kind = self._keep(1)
        match kind:
            case "C":
                self._name()
            case "M":
                self._disambiguator()
                self.path()
                self._type()
            case "X":
                self._disambiguator()
                self.path()
                self._type()
                self.path()
            case "Y":
                self._type()
                self.path()
            case "N":
                self._keep(1)
                self.path()
                self._name()
            case "I":
                self.path()
                self._until_end(self._generic_argument)
            case "B":
                self._back_reference()
            case _:
                raise _NotV0Error
        self._depth -= 1

    def _type(self) -> None:
        letter = self._text[self._at]
        if letter in "CMXYNI":
            self.path()
            return
        self._enter()
        self._keep(1)
        match letter:
            case "A":
                self._type()
                self._const()
            case "S" | "P" | "O":
                self._type()
            case "R" | "Q":
                self._lifetime()
                self._type()
            case "T":
                self._until_end(self._type)
            case "F":
                self._signature()
            case "D":
                self._bounds()
            case "B":
                self._back_reference()
            case _ if letter not in _BASIC_TYPES:
                raise _NotV0Error
        self._depth -= 1

    def _generic_argument(self) -> None:
        if self._keep_if("K"):
            self._const()
        elif self._is("L"):
            self._lifetime()
        else:
            self._type()

    def _const(self) -> None:
        if self._keep_if("p"):
            return
        if self._is("B"):
            self._enter()
            self._keep(1)
            self._back_reference()
            self._depth -= 1
        else:
            self._type()
            self._keep_match(_HEX)

    def _signature(self) -> None:
        self._binder()
        self._keep_if("U")
        if self._keep_if("K") and not self._keep_if("C"):
            self._identifier()
        self._until_end(self._type)
        self._type()

    def _bounds(self) -> None:
        self._binder()
        self._until_end(self._bound)
        self._lifetime()

    def _bound(self) -> None:
        self.path()
        while self._keep_if("p"):
            self._identifier()
            self._type()

    def _binder(self) -> None:
        if self._keep_if("G"):
            self._keep_match(_BASE_62)

    def _lifetime(self) -> None:
        if self._keep_if("L"):
            self._keep_match(_BASE_62)

    def _back_reference(self) -> None:
        found = self._match(_BASE_62)
        begin, self._at = self._at - 1, found.end()
        meant = _base_62(found[0]) + 2
        piece = self._piece_at.get(meant)
        if piece is None or meant >= begin:
            raise _NotV0Error
        self.pieces.append(f"{piece}_")

    def _name(self) -> None:
        self._disambiguator()
        self._identifier()

    def _disambiguator(self) -> None:
        if self._is("s"):
            self._at += 1
            self._at = self._match(_BASE_62).end()

    def _identifier(self) -> None:
        found = self._match(_IDENTIFIER)
        self._keep(found.end() - self._at)
        self._keep(int(found[2]) if len(found[2]) < 5 else len(self._text))

    def _until_end(self, read_one: Callable[[], None]) -> None:
        while not self._keep_if("E"):
            read_one()

    def _enter(self) -> None:
        """Begin what a back reference may mean."""
        self._piece_at[self._at] = len(self.pieces)
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _NotV0Error

    def _is(self, letter: str) -> bool:
        return self._text.startswith(letter, self._at)

    def _keep(self, count: int) -> str:
        piece = self._text[self._at : self._at + count]
        if len(piece) != count:
            raise _NotV0Error
        self._at += count
        self.pieces.append(piece)
        return piece

    def _keep_if(self, letter: str) -> bool:
        if not self._is(letter):
            return False
        self._at += 1
        self.pieces.append(letter)
        return True

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """What is at this place. Raises _NotV0Error if it is something else."""
        found = pattern.match(self._text, self._at)
        if found is None:
            raise _NotV0Error
        return found

    def _keep_match(self, pattern: re.Pattern[str]) -> None:
        self._keep(self._match(pattern).end() - self._at)


_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _base_62(text: str) -> int:
    """The number that digits and an underscore mean: `_` is 0, `0_` is 1."""
    if text == "_":
        return 0
    number = 0
    for digit in text[:-1]:
        number = number * 62 + _DIGITS.index(digit)
    return number + 1
