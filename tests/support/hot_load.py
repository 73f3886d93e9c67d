"""A load on `runtime.calls` whose symbol counts are known, at the speed of a bench: calls are cut and pasted.

A call is put together from a template (what a process, a stack and a place have in common) and what differs: event id,
time and raw position. `Truth` counts by symbol what a reader must find, in the plainest way.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.hot_symbols.counting.tally import HOURS_KEPT
from agents.hot_symbols.reading.sightings import HOUR_NS
from schemas import avro_wire
from tests.support.calls import encode_call, frame

START_NS = 1_700_000_000 * 1_000_000_000
_TIME_AT = avro_wire.SCHEMA_HEADER_BYTES + 33
_SOURCE = {"partition": 0, "offset": 0}
_SOURCE_BYTES = 2


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of call: its bytes around what differs, and what it is evidence of."""

    tail: bytes
    """From the probe type to before the raw position."""
    symbols: tuple[str, ...]
    """Symbol ids on the stack, one for each frame."""
    image: str


@dataclass(slots=True)
class Counted:
    """What a row must say."""

    hits: int = 0
    first_ns: int = 1 << 62
    last_ns: int = 0
    hours: dict[int, int] = field(default_factory=dict)

    def note(self, time_ns: int) -> None:
        """Count one frame."""
        self.hits += 1
        self.first_ns = min(self.first_ns, time_ns)
        self.last_ns = max(self.last_ns, time_ns)
        hour = time_ns // HOUR_NS
        self.hours[hour] = self.hours.get(hour, 0) + 1

    def last_day(self) -> dict[int, int]:
        """Hits by hour, of the newest 24 hours."""
        oldest = max(self.hours) - HOURS_KEPT
        return {hour: hits for hour, hits in self.hours.items() if hour > oldest}


class HotLoad:
    """Makes calls in raw order for every partition, with repetitions, and counts their symbols."""

    def __init__(self, *, schema_id: int, partitions: int, symbols: int, stacks: int, frames: int = 12) -> None:
        self._chance = random.Random(11)
        self._templates = [self._template(symbols, frames, number) for number in range(stacks)]
        self._next = [0] * partitions
        self._schema = avro_wire.schema_header(schema_id)
        self._recent: list[list[bytes]] = [[] for _ in range(partitions)]
        self.truth: dict[str, Counted] = {}
        self.sent = 0

    def _template(self, symbols: int, frames: int, number: int) -> Template:
        chance = self._chance
        picked = [min(symbols - 1, int(chance.paretovariate(0.5))) for _ in range(frames)]
        stack = [_frame(symbol) for symbol in picked]
        image = f"shop/app-{number % 7}:1"
        call: dict[str, Any] = {
            "process": {"process_id": f"{number % 100:032d}", "binary": f"/usr/bin/app-{number % 100}"},
            "thread": {"tid": number},
            "syscall": "sys_read",
            "stack_frames": stack,
            "namespace": "shop",
            "image_name": image,
            "workload": "web",
            "workload_kind": "Deployment",
            "source": _SOURCE,
        }
        value = encode_call(call)
        time_bytes = len(avro_wire.long(START_NS))
        return Template(value[_TIME_AT + time_bytes : -_SOURCE_BYTES], tuple(map(_symbol_id, picked)), image)

    def calls(self, partition: int, count: int) -> Iterator[bytes]:
        """The next so many calls of a partition."""
        recent = self._recent[partition]
        del recent[:-200]
        for _ in range(count):
            template = self._templates[min(len(self._templates) - 1, int(self._chance.paretovariate(0.4)))]
            offset = self._next[partition]
            self._next[partition] += 1
            time_ns = START_NS + offset * 400_000_000 + self._chance.randrange(10**12)
            for symbol in template.symbols:
                self.truth.setdefault(symbol, Counted()).note(time_ns)
            value = b"".join(
                (
                    self._schema,
                    b"\x40%032x" % self.sent,
                    avro_wire.long(time_ns),
                    template.tail,
                    avro_wire.long(partition),
                    avro_wire.long(offset),
                )
            )
            self.sent += 1
            recent.append(value)
            yield value

    def repeated(self, partition: int) -> Sequence[bytes]:
        """Some of the last calls of a partition again, as a stage sends them after a crash."""
        recent = self._recent[partition]
        return recent[-self._chance.randrange(1, 200) :]


def _frame(symbol: int) -> dict[str, Any]:
    if symbol % 3 == 0:
        return frame("kernel", f"kernel_function_{symbol}", offset=symbol)
    if symbol % 3 == 1:
        build_id = f"{symbol % 50:08x}{'cd' * 16}"
        return frame(f"/usr/lib/lib{symbol % 50}.so", f"function_{symbol}", offset=symbol, build_id=build_id)
    hint = {"symbol_hint": f"hinted_{symbol}", "resolution": "HintOnly"}
    return frame("/usr/bin/app", offset=symbol, **hint)


def _symbol_id(symbol: int) -> str:
    if symbol % 3 == 0:
        return f"kernel!kernel_function_{symbol}"
    if symbol % 3 == 1:
        return f"{symbol % 50:08x}{'cd' * 16}!function_{symbol}"
    return f"/usr/bin/app!hinted_{symbol}"
