"""Shows a person how far a long run is. Nothing is written if standard error is not a terminal."""

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self, TypeVar

from app.operators.printing import rewrite

_EVERY_SECONDS: Final = 0.5

_Thing = TypeVar("_Thing")


class Progress:
    """One line on standard error that is written again twice a second. Use it as a context, which ends the line."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._wrote = False
        self.begin("")

    def begin(self, what: str, total: int | None = None) -> None:
        """Start to count something; `what` follows the number, as in "records read"."""
        self._what = what
        self.total = total
        self._began = self._shown_at = time.monotonic()
        self._count: Count | None = None
        self.done = 0

    def count(self, what: str, total: int | None = None) -> "Count":
        """A count that takes turns with others on the line."""
        return Count(self, what, total)

    def show(self, count: "Count") -> None:
        """Show this count, instead of what the line showed before."""
        if self._count is not count:
            self.begin(count.what, count.total)
            self._count = count
        self.at(count.done)

    def each(self, things: Iterable[_Thing], what: str, total: int | None = None) -> Iterator[_Thing]:
        """The things, unchanged. Each one is counted when the next is taken."""
        self.begin(what, total)
        for thing in things:
            yield thing
            self.add(1)

    def add(self, more: int) -> None:
        """Count `more` things."""
        self.at(self.done + more)

    def at(self, done: int) -> None:
        """Set the count to `done`."""
        self.done = done
        now = time.monotonic()
        if self._shown and now - self._shown_at >= _EVERY_SECONDS:
            self._shown_at = now
            self._wrote = True
            rate = done / max(now - self._began, 1e-9)
            of = f" of {self.total:,} ({100 * done // max(1, self.total)} %)" if self.total else ""
            rewrite(f"{done:,}{of} {self._what}, {rate:,.0f} a second", err=True)

    def hide(self) -> None:
        """Clear the line, so that something else can be written. The next count shows it again."""
        if self._wrote:
            rewrite(err=True)
            self._wrote = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hide()


@dataclass(slots=True)
class Count:
    """One of several counts on the line; `what` follows the number. `total` may be set later, when it is known."""

    progress: Progress
    what: str
    total: int | None = None
    done: int = 0

    def add(self, more: int) -> None:
        """Count `more` things."""
        self.at(self.done + more)

    def at(self, done: int) -> None:
        """Set the count to `done`."""
        self.done = done
        self.progress.show(self)
