"""The shortest text that a pattern matches: so a long table of formats needs no text beside each of them."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any, Final

_CODES: Final[Any] = import_module("re._constants")  # no stubs: the modules are Python's own, and private
_PARSER: Final[Any] = import_module("re._parser")


def shortest_match(pattern: str) -> str:
    """A text that `pattern` matches from its beginning to its end, with the fewest repetitions and first alternatives.

    Raises ValueError for what it does not know: look-around and references back.
    """
    return _of_all(_PARSER.parse(pattern))


def _of_all(nodes: Iterable[Any]) -> str:
    return "".join(_of_one(code, argument) for code, argument in nodes)


def _of_one(code: Any, argument: Any) -> str:
    if code == _CODES.LITERAL:
        return chr(argument)
    if code == _CODES.IN:
        return _character(*argument[0])
    if code == _CODES.ANY:
        return "x"
    if code == _CODES.MAX_REPEAT:
        return _of_all(argument[2]) * int(argument[0])
    if code == _CODES.BRANCH:
        return _of_all(argument[1][0])
    if code == _CODES.SUBPATTERN:
        return _of_all(argument[3])
    if code == _CODES.AT:
        return ""
    raise ValueError(f"{code} is not known here")


def _character(code: Any, argument: Any) -> str:
    """One character of a set, by the first thing that the set names."""
    if code == _CODES.LITERAL:
        return chr(argument)
    if code == _CODES.RANGE:
        return chr(argument[0])
    if code == _CODES.CATEGORY:
        found: str = {_CODES.CATEGORY_DIGIT: "0", _CODES.CATEGORY_WORD: "a", _CODES.CATEGORY_SPACE: " "}[argument]
        return found
    raise ValueError(f"{code} is not known here")
