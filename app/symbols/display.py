"""Symbols for people: demangled where they can be. What is stored, compared and counted stays mangled.

Use `SymbolDisplay` as a context manager. A name that cannot be demangled, for whatever reason, is shown as it is; a
reader of a table is never worse off for it. Characters that a terminal would obey are shown as escapes.
"""

from functools import lru_cache
from typing import Final, Self

from app.operators.escaping import escaped
from app.symbols.limited_process import LimitedProcess, NoAnswer

# A name takes microseconds; starting the process takes longest, and may take seconds on a busy machine.
_SECONDS: Final = 5.0
_REQUESTS_PER_PROCESS: Final = 1_000_000
# A screenful and its repetitions; names of some 100 characters.
_CACHED_NAMES: Final = 16_384
# After so many failures in a row the demangler does not work here, and each request only costs time.
_MAX_FAILURES: Final = 3


class SymbolDisplay:
    """Demangles for display, in a process of its own."""

    def __init__(self) -> None:
        self._process = LimitedProcess("app.symbols.demangler", seconds=_SECONDS, max_requests=_REQUESTS_PER_PROCESS)
        self._failures = 0
        self.name = lru_cache(maxsize=_CACHED_NAMES)(self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.end()

    def _name(self, symbol: str) -> str:
        """`symbol` as people read it."""
        return escaped(self._demangled(symbol))

    def _demangled(self, symbol: str) -> str:
        if not symbol.startswith(("_Z", "__Z", "_R", "___Z")) or self._failures >= _MAX_FAILURES:
            return symbol
        answer = self._process.ask({"symbol": symbol})
        if isinstance(answer, NoAnswer):
            self._failures += 1
            return symbol
        self._failures = 0
        return answer["name"] or symbol
