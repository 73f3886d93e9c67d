"""What decoded calls say; equal evidence and equal places are one object.

Offsets inside functions differ from stack to stack while the symbols repeat. Equal evidence and equal places are the
same object, so that events can be gathered by identity. Equal touches are the same object too, except after evictions.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agents.hot_symbols.reading.evidence import (
    CountedFrame,
    EventEvidence,
    EventPlace,
    FrameFields,
    Touch,
    binary_touch,
    frame_fields,
    frame_of,
    joined,
    place_of,
    stack_touches,
    target_touch,
)
from agents.memo import Memo
from schemas.call_layout import SNAPSHOT

Observation = tuple[int, int, str, EventEvidence, EventPlace]
"""Raw offset, time in nanoseconds since the Unix epoch, event id, evidence, place: one is made for every event."""

PLACE_FIELDS: Final = ("image_id", "image_name", "namespace", "workload_kind", "workload")
"""Fields of a call that say where it happened."""

KINDS_OF_EVIDENCE: Final = 16_384
"""In each of two generations. Less than there are stacks; one takes some 5 kB: 160 MB if all had twelve frames of
their own, which no code has."""

KINDS_OF_TOUCH: Final = 65_536
"""In each of two generations; symbols by who called them, of some 500 bytes: 60 MB at most."""

KINDS_OF_FRAME: Final = 65_536
"""In each of two generations; offsets do not matter here, so these are symbols, of some 400 bytes: 50 MB at most."""

KINDS_OF_PLACE: Final = 4_096
"""In each of two generations. A cluster has some hundred workloads, with a few images each."""


_REFERENCE_BYTES: Final = 64
"""Of one item of a key whose text another cache has, too."""


def _bytes_of_frames(frames: tuple[CountedFrame, ...]) -> int:
    return sum([len(frame.symbol_id) for frame in frames], _REFERENCE_BYTES * len(frames))


def _bytes_of_touch(touch: Touch) -> int:
    return len(touch.symbol_id) + len(touch.module) + _REFERENCE_BYTES * len(touch.callers)


class Meaning:
    """Evidence and places of calls; its memory is bounded, and no eviction changes a result."""

    def __init__(self) -> None:
        self._frames = Memo[FrameFields, CountedFrame](frame_of, KINDS_OF_FRAME)
        self._touches = Memo[tuple[tuple[CountedFrame, ...], str | None], tuple[Touch, ...]](
            lambda key: tuple([self._known[touch] for touch in stack_touches(*key)]),
            KINDS_OF_EVIDENCE,
            weigh=lambda key: _bytes_of_frames(key[0]),
        )
        self._known = Memo[Touch, Touch](lambda touch: touch, KINDS_OF_TOUCH, weigh=_bytes_of_touch)
        self._joined = Memo[tuple[tuple[Touch, ...], Touch | None], EventEvidence](
            lambda key: joined(*key), KINDS_OF_EVIDENCE, weigh=lambda key: _REFERENCE_BYTES * len(key[0])
        )
        self._places = Memo[tuple[Any, ...], EventPlace](
            lambda values: place_of(dict(zip(PLACE_FIELDS, values, strict=True))), KINDS_OF_PLACE
        )

    def evidence(self, frames: Sequence[Mapping[str, Any]], snapshot: str | None, extra: Touch | None) -> EventEvidence:
        """The evidence of decoded frames, which a snapshot named, and of what else the event proves."""
        known = tuple([self._frames[values] for values in map(frame_fields, frames)])
        return self._joined[self._touches[known, snapshot], extra]

    def place(self, fields: Mapping[str, Any]) -> EventPlace:
        """The place that these fields name."""
        return self._places[tuple(fields[name] for name in PLACE_FIELDS)]

    def observation(self, call: Mapping[str, Any]) -> Observation:
        """The observation of a call that is decoded as a whole."""
        extra = None
        if call["probe_type"] in {"Uprobe", "Uretprobe"} and call["probe_target"] is not None:
            extra = target_touch(call["probe_target"], call[SNAPSHOT])
        elif call["probe_type"] == "ProcessExec" and call["process"]["binary"]:
            extra = binary_touch(call["process"]["binary"])
        evidence = self.evidence(call["stack_frames"], call[SNAPSHOT], extra)
        return call["source"]["offset"], call["timestamp_ns"], call["event_id"], evidence, self.place(call)
