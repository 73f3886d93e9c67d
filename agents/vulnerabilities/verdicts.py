"""What can be said of an advisory and a file; a doubt is a reason in the answer, never an answer."""

import enum
from dataclasses import dataclass
from typing import Final


class NotAffectedBecause(enum.StrEnum):
    """Why an advisory does not speak of a file."""

    NOT_IN_FILE = "the file has no such package"
    VERSION = "its version is not affected"
    PLATFORM = "it is of another operating system or processor"
    WITHDRAWN = "its authors withdrew it"


class Doubt(enum.StrEnum):
    """Why nobody can tell from the file alone."""

    NO_INDEX = "the file has no index"
    SYMBOL_TABLE = "a symbol table does not say what was inlined"
    PACKED = "the file unpacks its code when it runs"
    OBFUSCATED = "none of the functions of its modules has its name"
    USES_C = "the package calls C, and Go's table has no C"
    MERGED_CODE = "LLVM may have merged its code into that of another function, and then no name is left of it"
    NOT_A_FUNCTION = "the advisory names a type, a trait or a macro"
    CLOSURE = "a closure has lost the package of the function that it was inlined with"
    ONLY_TYPES = "only the code of the package's types is there"
    OTHER_CRATE = "another crate has a type and a function of this name"
    VENDORED = "the standard library has its own copy, of a version that the file does not say"
    NO_VERSION = "it is not known which versions the advisory means"
    CUSTOM_VERSIONS = "the advisory has the project's own versions, and they say something else"
    NO_BUILD_INFORMATION = "the file does not say which modules it was built from"
    REPLACED = "a folder or another module replaced it, and may have its code under other names"
    VERSION_UNKNOWN = "it is not known which version is in the file"


@dataclass(frozen=True, slots=True)
class NotAffected:
    """The advisory means other packages, versions or platforms."""

    reasons: tuple[NotAffectedBecause, ...]


FOLDED: Final = "a function that was folded into a constant leaves no code, and counts as absent"
"""Said wherever code is called absent, for what such a function returned may be in the file."""


@dataclass(frozen=True, slots=True)
class CodeAbsent:
    """A complete list of the file's code has none of the functions; `looked_for` are those."""

    looked_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CodePresent:
    """The file has functions that the advisory names, in an affected version; they are symbols of the file."""

    symbols: tuple[str, ...]
    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True)
class NoFunctionsNamed:
    """The version is affected, and the advisory says nothing of its code."""


@dataclass(frozen=True, slots=True)
class CannotTell:
    """Nothing sure can be said; `symbols` may be the functions."""

    doubts: tuple[Doubt, ...]
    symbols: tuple[str, ...]


Assessment = NotAffected | CodeAbsent | CodePresent | NoFunctionsNamed | CannotTell
