"""What a contestant measures of itself: CPU and time from its first event to its last, printed as one line of JSON."""

import asyncio
import json
import resource
import time


class Meter:
    """CPU and time from the first event to the last; with a lap, also from the lap's end to the last.

    The lap is where events begin to repeat, so that caches are cold before and warm after it.
    """

    def __init__(self, events: int, lap: int = 0) -> None:
        self._events = events
        self._lap = lap
        self._seen = self._lap_seen = 0
        self._began = self._lapped = (0.0, 0.0)
        self.done = asyncio.Event()

    def start(self) -> None:
        """Begin now."""
        self._began = _now()

    def count(self, events: int) -> bool:
        """Count events; True when all are there."""
        if not self._seen and self._began == (0.0, 0.0):
            self.start()
        self._seen += events
        if self._lap and not self._lap_seen and self._seen >= self._lap:
            self._lap_seen, self._lapped = self._seen, _now()
        if self._seen >= self._events:
            self.done.set()
            return True
        return False

    def print(self) -> None:
        """Write the figures."""
        figures = _figures(self._began, self._seen)
        if self._lap_seen:
            steady = _figures(self._lapped, self._seen - self._lap_seen)
            figures |= {f"steady_{name}": value for name, value in steady.items()}
        print(json.dumps(figures), flush=True)


def _now() -> tuple[float, float]:
    return _cpu_seconds(), time.perf_counter()


def _figures(since: tuple[float, float], events: int) -> dict[str, float]:
    cpu, clock = _now()
    return {"cpu_us": (cpu - since[0]) / events * 1e6, "events_per_s": events / (clock - since[1])}


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
