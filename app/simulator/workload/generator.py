"""A load of events as a fleet of nodes makes it: the same options give the same bytes on the same machine.

What repeats in life repeats here: processes, stacks and arguments, the popular ones far more often (Zipf's law). A
process is announced before its first call, by its own exec and, for each library in its stacks, by a loader event
with the true build id. Commands come and go, each a process of its own. The series of canary events (`canaries`) is
among them where the options say so.

There is no clock, and no randomness but the seed. Event times advance from `start_seconds` at `events_per_s`. Files
are read only to find functions for the stacks.
"""

from collections import ChainMap, Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate, cycle
from random import Random
from typing import Final

from app.simulator.workload.binaries import Binary, mapped_binaries
from app.simulator.workload.calls import CALLS, Studio
from app.simulator.workload.canaries import Canary, canaries, canary_events
from app.simulator.workload.commands import Commands
from app.simulator.workload.fleet import NODES, Actor, cluster_fields, fleet
from app.simulator.workload.secrets import traces
from app.simulator.workload.stacks import StackMaker, zipf_weights
from app.simulator.workload.templates import Template, event_time, template
from schemas.tetragon.events_pb2 import THROTTLE_START, THROTTLE_STOP, GetEventsResponse
from schemas.units import NS_PER_SECOND

SHARES: Final[Mapping[str, float]] = {
    "kprobe": 54,
    "kretprobe": 8,
    "fentry": 4,
    "fexit": 2,
    "tracepoint": 9,
    "uprobe": 4,
    "uretprobe": 1,
    "usdt": 1,
    "lsm": 4,
    "exec": 6.3,
    "exit": 6.3,
    "throttle": 0.4,
}
"""How often each kind occurs, in relation to the others: a node whose policies watch files, connections and writes.

Loader events, and the exec of each long-lived process, come on top: once for each process."""

_DRAWN_AT_ONCE: Final = 1024


class _Mortal(Enum):
    """Events of processes that live once; they cannot be encoded in advance."""

    EXEC = "exec"
    EXIT = "exit"


_Entry = Template | _Mortal
_NOBODY: Final = -1


class NoSuchKindError(ValueError):
    """A share is for a kind that does not exist, or nothing has a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadOptions:
    """What to generate. `canary_share` is the part of all events, 0 to 1, that are canary events."""

    events: int
    seed: int = 1
    processes: int = 64
    variants: int = 4096
    """Distinct encoded events of long-lived processes."""
    canary_share: float = 0.0
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    start_seconds: int = 1_767_787_200  # 2026-01-07 12:00 UTC
    events_per_s: int = 2_000
    """Of event time; how fast they are sent is another matter."""
    nodes: Sequence[str] = NODES


class Workload:
    """A load with its books: `kinds` and `frames` count what `events` has yielded."""

    def __init__(self, options: WorkloadOptions) -> None:
        self.kinds: Counter[str] = Counter()
        self.frames = 0
        self._options = options
        self._rng = Random(options.seed)  # noqa: S311 - reproducible, and nothing here is to be kept from anybody
        binaries = mapped_binaries()
        self._fleet = fleet(self._rng, options.processes, options.start_seconds, options.nodes)
        self._studio = Studio(StackMaker(binaries, self._rng), self._rng, _tls_path(binaries))
        self._announcements = [_announcement(actor, binaries, self._studio.stacks) for actor in self._fleet.actors]
        self._entries, self._weights = self._all_entries()

    def planted(self) -> Mapping[str, Canary]:
        """Every canary that may be in the load, by needle.

        A view of all collections: a search asks for few needles of many, a hundred thousand times.
        """
        planted = canaries() if self._options.canary_share else {}
        return ChainMap(self._fleet.secrets, self._studio.secrets, planted)

    def leaks(self, content: bytes) -> list[str]:
        """Where the canaries were planted that are in `content`, whatever bytes these are; empty when none is."""
        planted = self.planted()
        found = [planted.get(needle) for needle in traces(content)]
        return ["part of a canary" if one is None else f"{one.place} (form {one.form})" for one in found]

    def events(self) -> Iterator[bytes]:
        """The events, from the first; to be called once."""
        options = self._options
        commands = Commands(self._fleet.commands, self._rng, options.start_seconds)
        step_ns = NS_PER_SECOND // options.events_per_s
        time_ns = options.start_seconds * NS_PER_SECOND
        kinds = self.kinds
        for entry in self._sequence():
            time_ns += step_ns
            if isinstance(entry, Template):
                kinds[entry.kind] += 1
                self.frames += entry.frames
                yield entry.head + event_time(time_ns) + entry.tail if entry.is_timed else entry.head + entry.tail
            elif entry is _Mortal.EXIT and commands.running:
                kinds["exit"] += 1
                yield commands.end(time_ns)
            else:
                kinds["exec"] += 1
                yield commands.start(time_ns)

    def _sequence(self) -> Iterator[_Entry]:
        """What comes after what: canaries at their share, announcements before the first call of a process."""
        share, credit = self._options.canary_share, 0.0
        canary = cycle([template("canary", event, GetEventsResponse()) for event in canary_events()] if share else ())
        announced = bytearray(len(self._announcements))
        due: deque[_Entry] = deque()
        drawn = self._draw()
        for _ in range(self._options.events):
            credit += share
            if due:
                yield due.popleft()
            elif credit >= 1:
                credit -= 1
                yield next(canary)
            else:
                actor, entry = next(drawn)
                if actor == _NOBODY or announced[actor]:
                    yield entry
                else:
                    announced[actor] = True
                    due.extend((*self._announcements[actor], entry))
                    yield due.popleft()

    def _draw(self) -> Iterator[tuple[int, _Entry]]:
        while True:
            yield from self._rng.choices(self._entries, cum_weights=self._weights, k=_DRAWN_AT_ONCE)

    def _all_entries(self) -> tuple[list[tuple[int, _Entry]], list[float]]:
        """Everything that can be drawn, with cumulative weights: the share of its kind, divided by Zipf's law."""
        entries: list[tuple[int, _Entry]] = []
        weights: list[float] = []
        shares = _checked(self._options.shares)
        calls = sum(share for kind, share in shares.items() if kind in CALLS)
        for kind, share in shares.items():
            count = max(1, round(self._options.variants * share / calls)) if kind in CALLS else 1
            popularity = zipf_weights(count)
            entries += [self._entry(kind) for _ in range(count)]
            weights += [share / rank / popularity[-1] for rank in range(1, count + 1)]
        return entries, list(accumulate(weights))

    def _entry(self, kind: str) -> tuple[int, _Entry]:
        rng, actors = self._rng, self._fleet.actors
        if kind in {_Mortal.EXEC.value, _Mortal.EXIT.value}:
            return _NOBODY, _Mortal(kind)
        index = rng.choices(range(len(actors)), cum_weights=zipf_weights(len(actors)))[0]
        actor = actors[index]
        if kind == "throttle":
            return _NOBODY, _throttle(rng, actor)
        event = rng.choice(CALLS[kind])(self._studio, actor)
        _set_who(event, actor, rng.choice(actor.threads))
        return index, template(kind, event, cluster_fields())


def _checked(shares: Mapping[str, float]) -> dict[str, float]:
    strange = sorted(shares.keys() - SHARES.keys())
    if strange:
        raise NoSuchKindError(f"there is no kind {strange[0]}; kinds are {', '.join(SHARES)}")
    found = {kind: share for kind, share in shares.items() if share > 0}
    if not found:
        raise NoSuchKindError("no kind of event has a share")
    return found


def _announcement(actor: Actor, binaries: Mapping[str, Binary], stacks: StackMaker) -> list[Template]:
    """The exec of a process, and a loader event for each library in its stacks."""
    event = GetEventsResponse()
    event.process_exec.SetInParent()
    _set_who(event, actor, actor.process.pid.value)
    announcement = [template("exec", event, cluster_fields())]
    for role in sorted({role for chain in actor.application.chains for role in stacks.roles(chain)}):
        event = GetEventsResponse()
        event.process_loader.path, event.process_loader.buildid = binaries[role].path, binaries[role].build_id
        _set_who(event, actor, actor.process.pid.value)
        announcement.append(template("loader", event, cluster_fields(), is_timed=False))
    return announcement


def _throttle(rng: Random, actor: Actor) -> Template:
    event = GetEventsResponse(node_name=actor.node)
    event.process_throttle.type = rng.choice((THROTTLE_START, THROTTLE_STOP))
    event.process_throttle.cgroup = f"cri-containerd-{actor.process.docker}.scope"
    return template("throttle", event, cluster_fields())


def _set_who(event: GetEventsResponse, actor: Actor, thread: int) -> None:
    kind = event.WhichOneof("event")
    assert kind is not None
    body = getattr(event, kind)
    body.process.CopyFrom(actor.process)
    body.process.tid.value = thread
    body.parent.CopyFrom(actor.parent)
    event.node_name = actor.node


def _tls_path(binaries: Mapping[str, Binary]) -> str:
    return binaries["ssl"].path if "ssl" in binaries else "/usr/lib/libssl.so.3"
