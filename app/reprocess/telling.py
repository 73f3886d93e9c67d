"""What a run prints: lines for people or JSON lines for programs, and its progress.

Each decision (which version, from where, caught up, behind, stopped) goes to standard output once. Progress goes to
standard error, in place on a terminal and rarely elsewhere, or into the JSON lines.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from app.operators.json_text import json_text
from app.operators.printing import echo, rewrite
from app.reprocess.catching_up import CatchUp, StageSample
from app.settings import Settings
from app.topology import StageShape

_ON_TERMINAL_SECONDS: Final = 0.5
_ELSEWHERE_SECONDS: Final = 30.0
_JSON_SECONDS: Final = 5.0


class Event(StrEnum):
    """What a line is about."""

    BEGINS = "begins"
    GOES_ON = "goes_on"
    PROGRESS = "progress"
    CAUGHT_UP = "caught_up"
    BEHIND = "behind"
    STOPPED = "stopped"


class Teller:
    """Prints how one version goes on."""

    def __init__(self, settings: Settings, shapes: tuple[StageShape, ...], *, as_json: bool) -> None:
        self._settings = settings
        self._shapes = shapes
        self._as_json = as_json
        self._in_place = sys.stderr.isatty() and not as_json
        self._told_at = 0.0
        self._before: tuple[float, int] | None = None
        self._line_is_open = False
        self._said: list[str] = []

    def decided(self, event: Event, starts: Mapping[int, int]) -> None:
        """Print which version runs, and the offsets from which its first stage reads."""
        name = self._settings.name
        if self._as_json:
            self._json(event, {"from": {str(number): offset for number, offset in starts.items()}})
            return
        way = " -> ".join(name(one) for one in (self._shapes[0].sources[0], *(s.outputs[0] for s in self._shapes)))
        places = ", ".join(f"{number}:{offset}" for number, offset in starts.items())
        self._line(f"version {self._shapes[0].version} {event.value.replace('_', ' ')}: {way}, from {places}")

    def progress(self, stages: Sequence[StageSample], state: CatchUp) -> None:
        """Print the progress, if enough time has passed since the last time."""
        pause = _JSON_SECONDS if self._as_json else _ON_TERMINAL_SECONDS if self._in_place else _ELSEWHERE_SECONDS
        now = time.monotonic()
        if now - self._told_at < pause:
            return
        self._told_at = now
        if self._as_json:
            self._json(Event.PROGRESS, self._facts(stages, state))
            return
        text = "; ".join(self._share(*one) for one in zip(self._shapes, stages, strict=True)) + self._rate(now, stages)
        if self._in_place:
            self._line_is_open = True
            rewrite(text, err=True)
        else:
            echo(text, err=True)

    def turned(self, event: Event, stages: Sequence[StageSample], state: CatchUp) -> None:
        """Print that it has caught up, fallen behind or stopped, with its books."""
        if self._as_json:
            self._json(event, self._facts(stages, state))
            return
        behind = "" if state.behind_seconds is None else f", {state.behind_seconds:.1f} s behind"
        self._line(f"version {self._shapes[0].version} {event.value.replace('_', ' ')}{behind}")
        books = [self._books_line(*one) for one in zip(self._shapes, stages, strict=True)]
        if books != self._said:
            self._said = books
            for line in books:
                self._line(line)

    def _facts(self, stages: Sequence[StageSample], state: CatchUp) -> dict[str, Any]:
        name = self._settings.name
        behind = state.behind_seconds
        return {
            "caught_up": state.is_caught_up,
            "behind_seconds": None if behind is None else round(behind, 3),
            "stages": [
                {"stage": shape.stage.value, "source": name(shape.sources[0]), "output": name(shape.outputs[0])}
                | _books(sample)
                for shape, sample in zip(self._shapes, stages, strict=True)
            ],
        }

    def _json(self, event: Event, facts: Mapping[str, Any]) -> None:
        first, last = self._shapes[0], self._shapes[-1]
        about = {
            "event": event.value,
            "version": first.version,
            "source": self._settings.name(first.sources[0]),
            "output": self._settings.name(last.outputs[0]),
        }
        echo(json_text(about | dict(facts)))

    def _line(self, text: str) -> None:
        if self._line_is_open:
            rewrite(err=True)
            self._line_is_open = False
        echo(text)

    def _books_line(self, shape: StageShape, sample: StageSample) -> str:
        said = ", ".join(f"{what.replace('_', ' ')} {count:,}" for what, count in _books(sample).items())
        return f"  {shape.stage.value}: {said}"

    def _share(self, shape: StageShape, sample: StageSample) -> str:
        books = _books(sample)
        total = books["records"] + books["lag"]
        return f"{shape.stage.value} {books['records']:,} of {total:,} ({100 * books['records'] // max(1, total)} %)"

    def _rate(self, now: float, stages: Sequence[StageSample]) -> str:
        """Records a second since the last call."""
        done = _books(stages[0])["records"]
        before, self._before = self._before, (now, done)
        if before is None:
            return ""
        return f", {(done - before[1]) / max(now - before[0], 1e-9):,.0f} a second"


def _books(sample: StageSample) -> dict[str, int]:
    """Where the records that a stage has done went, and how many are still to do."""
    partitions = sample.values()
    return {
        "records": sum(one.done for one in partitions),
        "outputs": sum(one.account.outputs for one in partitions),
        "not_calls": sum(one.account.not_calls for one in partitions),
        "dead_letters": sum(one.account.dead_letters for one in partitions),
        "expired": sum(one.expired for one in partitions),
        "lag": sum(one.lag for one in partitions),
    }
