"""Which functions of a Rust program are those that an advisory names.

RustSec has `crate::path::Type::function` (advisory-db, README). A program has mangled names; demangled they are, by
RFC 2603 and rustc_symbol_mangling:

- `crate::path::function`, with `::<u8>` behind it in v0 where it is generic; legacy names have no arguments there;
- `<crate::path::Type<u8>>::function` in v0, `crate::path::Type<T>::function` in legacy names;
- `<crate::path::Type as other::Trait>::function` for what a trait asks for;
- ` (.llvm.123)` behind it for a copy that LLVM made;
- `::{closure#0}` or `::{{closure}}` behind it for a closure's body, and `::h` with 16 digits in legacy names.

What counts is the crate, the last type and the function: a path in an advisory is where users find a function, and
re-exports move that. So a type of the same name in another crate may be the one that is meant.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from agents.vulnerabilities.go_code import FoundFunctions

_HASH: Final = re.compile(r"::h[0-9a-f]{16}\Z")
_CLONE: Final = re.compile(r"(?: \([^()]*\))+\Z")
_BODY: Final = re.compile(r"(?:::(?:\{\{?[a-z_.]+(?:[:#][^{}]*)?\}\}?|\{shim:[^{}]*\}))+\Z")
_OWN_NUMBER: Final = re.compile(r"\[[0-9a-f]+\]")
_IDENTIFIER: Final = re.compile(r"(?:r#)?[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_POINTERS: Final = re.compile(r"^(?:&|\*|mut |const |dyn |\(|\[)+")


_MAX_DEPTH: Final = 16
"""Real names have closures in closures' types some three deep."""


class RustPath(NamedTuple):
    """A function as crate, last type (empty for a free one) and name."""

    crate: str
    type_name: str
    function: str


def named_path(text: str) -> RustPath | None:
    """The function that a name in an advisory means; None for a bare type, a macro, or what is not a path."""
    parts = _without_arguments(text.strip()).split("::")
    parts = [part for part in parts if part]
    if len(parts) < 2 or any(_IDENTIFIER.fullmatch(part) is None for part in parts) or _is_type(parts[-1]):
        return None
    return RustPath(parts[0].replace("-", "_"), _type_in(parts), parts[-1])


def paths_of(demangled: str, depth: int = _MAX_DEPTH) -> frozenset[RustPath]:
    """The functions that a demangled name is: by its type, and by the trait that asks for it.

    Where the type is a closure, the function around it; a name may have such types in each other, up to `depth`.
    """
    text = _BODY.sub("", _HASH.sub("", _OWN_NUMBER.sub("", _CLONE.sub("", demangled))))
    if not text.startswith("<"):
        parts = [part for part in _without_arguments(text).split("::") if part]
        return frozenset((RustPath(parts[0], _type_in(parts), parts[-1]),)) if len(parts) > 1 else frozenset()
    end = _closing(text)
    function = [part for part in _without_arguments(text[end:]).split("::") if part]
    if not function:
        return frozenset()
    owners = _split_as(text[1 : end - 1])
    found: set[RustPath] = set()
    for owner in owners:
        if depth and _BODY.search(owner) is not None:
            found |= paths_of(owner, depth - 1)
            continue
        plain = _POINTERS.sub("", owner).rstrip("])")
        parts = [part for part in _without_arguments(plain).split("::") if part]
        if len(parts) > 1:
            found.add(RustPath(parts[0], parts[-1], function[0]))
    return frozenset(found)


def trait_of(demangled: str) -> str:
    """The last name of the trait for which a function was written; empty where there is none."""
    if not demangled.startswith("<"):
        return ""
    _, *traits = _split_as(demangled[1 : _closing(demangled) - 1])
    return _without_arguments(traits[0]).split("::")[-1] if traits else ""


class RustCode:
    """The functions of a program by crate, type and name."""

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        """Takes every name of the file with its demangled form."""
        self._symbols: dict[RustPath, set[str]] = defaultdict(set)
        self._elsewhere: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._traits: set[str] = set()
        for symbol, demangled in names:
            for path in paths_of(demangled):
                self._symbols[path].add(symbol)
                if path.type_name:
                    self._elsewhere[path.type_name, path.function].add(symbol)
            if trait := trait_of(demangled):
                self._traits.add(trait)

    def is_trait(self, path: RustPath) -> bool:
        """Whether a type's name is that of a trait: any type may have its function."""
        return path.type_name in self._traits

    def functions(self, path: RustPath) -> FoundFunctions:
        """The symbols that are a function, and those of a type of the same name in another crate."""
        sure = frozenset(self._symbols.get(path, ()))
        others = self._elsewhere.get((path.type_name, path.function), set()) if path.type_name else set()
        return FoundFunctions(sure, frozenset(others) - sure)


def _is_type(name: str) -> bool:
    return name[:1].isupper()


def _type_in(parts: list[str]) -> str:
    """The type before a function's name; modules are written in small letters."""
    return parts[-2] if len(parts) > 2 and _is_type(parts[-2]) else ""


def _closing(text: str) -> int:
    """Behind the `>` that ends what begins with `<`; the end of the text where there is none."""
    depth = 0
    for at, character in enumerate(text):
        if character == "<":
            depth += 1
        elif character == ">" and text[at - 1] != "-":  # not the arrow of a function's type
            depth -= 1
            if depth == 0:
                return at + 1
    return len(text)


def _split_as(text: str) -> list[str]:
    """A type, and the trait behind ` as ` where there is one."""
    depth = 0
    for at, character in enumerate(text):
        if character in "<([":
            depth += 1
        elif character in ")]" or (character == ">" and text[at - 1] != "-"):
            depth -= 1
        elif depth == 0 and text.startswith(" as ", at):
            return [text[:at], text[at + 4 :]]
    return [text]


def _without_arguments(text: str) -> str:
    """A path without the arguments of its types."""
    kept: list[str] = []
    depth = 0
    for at, character in enumerate(text):
        if character == "<":
            depth += 1
        elif character == ">" and text[at - 1 : at] != "-":
            depth = max(depth - 1, 0)
        elif depth == 0:
            kept.append(character)
    return "".join(kept)
