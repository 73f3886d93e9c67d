"""Tells a person how far a long run is; says nothing where nobody looks.

This module refuses to know what is counted.
"""

import sys
import time
from dataclasses import dataclass
from typing import Final, Self

import click

_EVERY_SECONDS: Final = 0.5


class Progress:
    """One line on standard error, written over now and then. Use as a context, so that the line is ended."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._wrote = False
        self.begin("")

    def begin(self, what: str, total: int | None = None) -> None:
        """Count something from now on; `what` follows the number, as in "records read"."""
        self._what = what
        self._total = total
        self._began = self._told = time.monotonic()
        self._count: Count | None = None
        self.done = 0

    def count(self, what: str, total: int | None = None) -> "Count":
        """Something that is counted for a while, before or after other things."""
        return Count(self, what, total)

    def show(self, count: "Count") -> None:
        """Show a count, from now on instead of what was shown."""
        if self._count is not count:
            self.begin(count.what, count.total)
            self._count = count
        self.at(count.done)

    def add(self, more: int) -> None:
        """Some more are done."""
        self.at(self.done + more)

    def at(self, done: int) -> None:
        """So many are done in all."""
        self.done = done
        now = time.monotonic()
        if self._shown and now - self._told >= _EVERY_SECONDS:
            self._told = now
            self._wrote = True
            rate = done / max(now - self._began, 1e-9)
            of = f" of {self._total:,} ({100 * done // max(1, self._total)} %)" if self._total else ""
            click.echo(f"\r\x1b[K{done:,}{of} {self._what}, {rate:,.0f} a second", err=True, nl=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._wrote:
            click.echo("\r\x1b[K", err=True, nl=False)


@dataclass(slots=True)
class Count:
    """One thing that is counted; `what` follows the number. `total` may be set when it is known."""

    progress: Progress
    what: str
    total: int | None = None
    done: int = 0

    def add(self, more: int) -> None:
        """Some more are done."""
        self.at(self.done + more)

    def at(self, done: int) -> None:
        """So many are done in all."""
        self.done = done
        self.progress.show(self)
