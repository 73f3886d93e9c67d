"""What one event says about symbols: which were on its stack or under its probe, how surely, and who called them.

A frame counts for its symbol, where it has none for the agent's hint, and where there is no hint for its module. The
caller of a frame is the next one outwards, across the border from kernel to user space. A user probe's target is
evidence of a call by itself. Equal stacks give the same object, so that counting can go by identity.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, NamedTuple

from agents.hot_symbols.identity import binary_identity, frame_identity, symbol_id, within_limits
from schemas import records
from schemas.text_limits import cut_place, cut_symbol

RESOLUTIONS: Final[tuple[str, ...]] = tuple(
    records.parsed_schema(records.CALL)["__named_schemas"]["callstream.FrameResolution"]["symbols"]
)
"""Symbols of the Avro enum FrameResolution; rows keep counts by their index."""

CONFIRMED: Final = frozenset(RESOLUTIONS.index(name) for name in ("Exact", "Inlined", "Kernel", "KernelModule"))
"""Indexes of the resolutions under which a frame's symbol is sure."""

Name = tuple[str, ...]
"""An image, a namespace or a workload, in one or several words; see `EventPlace`."""

_BY_INDEX: Final = frozenset(map(RESOLUTIONS.index, ("Exact", "Inlined")))

Grades = tuple[tuple[int, int], ...]
"""Frames by resolution index, in rising order of the index."""


@dataclass(frozen=True, slots=True)
class Touch:
    """What one event says about one symbol.

    `hits` counts frames, fired probes and executions; `probe_hits` says how many of them were probes. `grades` and
    `callers` cover the frames only; an outermost frame has no caller.
    """

    symbol_id: str
    module: str
    hits: int
    probe_hits: int
    grades: Grades
    callers: tuple[tuple[str, int], ...]
    snapshot: str | None = None
    """The one whose index gave the symbol its name; None where none did, or the call does not say it."""


@dataclass(frozen=True, slots=True, eq=False)
class EventEvidence:
    """Everything that events of one kind say about symbols; compared by identity."""

    touches: tuple[Touch, ...]


@dataclass(frozen=True, slots=True, eq=False)
class EventPlace:
    """Where events happened, as far as they say; compared by identity. None where they do not say."""

    image: Name | None  # image id, image name
    namespace: Name | None
    workload: Name | None  # namespace, kind, name


class CountedFrame(NamedTuple):
    """What counts of a stack frame. `resolution` is an index into RESOLUTIONS."""

    symbol_id: str
    module: str
    resolution: int


FrameFields = tuple[str, str, str | None, str | None, str, bool]
"""Module, symbol, symbol hint, build id, resolution and `is_kernel_space` of a `CanonicalStackFrame`."""

frame_fields: Final[Callable[[Mapping[str, Any]], FrameFields]] = itemgetter(
    "module", "symbol", "symbol_hint", "build_id", "resolution", "is_kernel_space"
)
"""Picks them from a decoded frame."""


def frame_of(fields: FrameFields) -> CountedFrame:
    """What counts of a frame with these fields."""
    module, symbol, hint, build_id, resolution, is_kernel_space = fields
    identity = frame_identity(module, build_id, symbol or hint or "", is_kernel_space=is_kernel_space)
    return CountedFrame(symbol_id(within_limits(identity)), cut_symbol(module), RESOLUTIONS.index(resolution))


def stack_touches(frames: Sequence[CountedFrame], snapshot: str | None = None) -> list[Touch]:
    """One touch for each symbol on a stack, which a snapshot named; `frames` are innermost first."""
    grades: dict[str, Counter[int]] = {}
    callers: dict[str, Counter[str]] = {}
    modules: dict[str, str] = {}
    for frame, caller in zip(frames, [*frames, None][1:], strict=True):
        grades.setdefault(frame.symbol_id, Counter())[frame.resolution] += 1
        modules[frame.symbol_id] = min(frame.module, modules.get(frame.symbol_id, frame.module))
        if caller is not None:
            callers.setdefault(frame.symbol_id, Counter())[caller.symbol_id] += 1
    return [
        Touch(
            symbol_id=name,
            module=modules[name],
            hits=counts.total(),
            probe_hits=0,
            grades=tuple(sorted(counts.items())),
            callers=tuple(sorted(callers.get(name, {}).items())),
            snapshot=cut_place(snapshot) if snapshot and _BY_INDEX & counts.keys() else None,
        )
        for name, counts in grades.items()
    ]


def target_touch(target: Mapping[str, Any], snapshot: str | None = None) -> Touch:
    """The touch of a decoded `ProbeTarget` whose probe fired; a snapshot names the symbols of files."""
    identity = frame_identity(target["module"], target["build_id"], target["symbol"], is_kernel_space=False)
    module = cut_symbol(target["module"])
    named_by = cut_place(snapshot) if snapshot and target["build_id"] and target["symbol"] else None
    return Touch(
        symbol_id(within_limits(identity)), module, hits=1, probe_hits=1, grades=(), callers=(), snapshot=named_by
    )


def binary_touch(path: str) -> Touch:
    """The touch of an execution of the file `path`."""
    identity = within_limits(binary_identity(path))
    return Touch(symbol_id(identity), cut_symbol(path), hits=1, probe_hits=0, grades=(), callers=())


def joined(touches: Sequence[Touch], extra: Touch | None) -> EventEvidence:
    """The evidence of one kind of event: its stack's touches, and one more where its probe or execution is evidence.

    A probe's target can be on the stack as well: the touches of one symbol become one.
    """
    kept = list(touches)
    if extra is not None:
        same = next((touch for touch in kept if touch.symbol_id == extra.symbol_id), None)
        if same is not None:
            kept.remove(same)
            extra = Touch(
                symbol_id=same.symbol_id,
                module=min(same.module, extra.module),
                hits=same.hits + extra.hits,
                probe_hits=same.probe_hits + extra.probe_hits,
                grades=same.grades,
                callers=same.callers,
                snapshot=same.snapshot or extra.snapshot,
            )
        kept.append(extra)
    return EventEvidence(tuple(kept))


def place_of(fields: Mapping[str, Any]) -> EventPlace:
    """The place of an event with these fields of a `RuntimeCallEvent`; longer names than a place may have are cut."""
    image_id, image_name, namespace, kind, workload = (
        cut_place(fields[name] or "") for name in ("image_id", "image_name", "namespace", "workload_kind", "workload")
    )
    return EventPlace(
        image=(image_id, image_name) if image_id or image_name else None,
        namespace=(namespace,) if namespace else None,
        workload=(namespace, kind, workload) if workload else None,
    )
