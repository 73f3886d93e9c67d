"""One run: decides the version, makes it ready, runs its stages in processes of their own, and watches them catch up.

A run may be killed at any time, so every decision is read from the cluster. Before it starts, a stage's process checks
again that it would make the version's records, because a policy file may have changed since.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.kafka import positions
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError
from app.kafka.positions import Last, Position, PositionError, RangeChoice
from app.processes.supervisor import Supervisor
from app.reprocess import marks, setup
from app.reprocess.catching_up import CatchUp, StageSample
from app.reprocess.chain import STAGES, chain
from app.reprocess.cluster import Cluster, open_cluster
from app.reprocess.existing import existing_version, existing_versions
from app.reprocess.marks import made_by, symbols_of
from app.reprocess.once_only import once_only
from app.reprocess.sampling import Sample, sampler
from app.reprocess.setup import Report, ReprocessError
from app.reprocess.telling import Event, Teller
from app.reprocess.versions import Begin, GoOn, MadeBy, VersionRefusal, choose
from app.settings import Settings, variable_of
from app.stages.worker import plan_of
from app.streaming.stage_process import run_stage
from app.topology import StageShape
from schemas.topics import Stage

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5

EXPIRED: Final = 1
"""Exit code if it caught up, but Kafka had deleted records of the range before they were read."""

NOT_CAUGHT_UP: Final = 3
"""Exit code if it was stopped before it had caught up; the same command continues."""


@dataclass(frozen=True, slots=True)
class ReprocessRequest:
    """What to reprocess. Without a `version`, it is the one that was made by the same configuration, or the next."""

    stage: Stage
    start: Position
    version: int | None


@dataclass(frozen=True, slots=True)
class Ready:
    """A version that can run. `starts` are the offsets at which its first stage begins or continues, by partition."""

    event: Event
    shapes: tuple[StageShape, ...]
    starts: Mapping[int, int]


def prepare(settings: Settings, request: ReprocessRequest, report: Report) -> Ready:
    """Decide which version to run and make it ready; `report` gets how many more records were read for that.

    Raises ReprocessError, PositionError, and what reading from the servers and loading the configuration raises.
    """
    with open_cluster(settings) as cluster:
        existing = existing_versions(cluster)
        asked = None if request.version is None else existing.get(request.version)
        wanted = _wanted(settings, request.stage, {} if asked is None else asked.made)
        decision = choose(existing, wanted, request.version)
        if isinstance(decision, VersionRefusal):
            raise ReprocessError(decision.reason)
        shapes = chain(request.stage, decision.version)
        match decision:
            case Begin():
                starts = _starts(cluster, shapes[0], request.start)
                setup.make_topics(cluster, shapes)
                setup.begin(cluster, shapes, wanted, starts, report)
                _check_made(cluster, decision.version, wanted)
                return Ready(Event.BEGINS, shapes, starts)
            case GoOn():
                _place_lost(cluster, shapes)
                return Ready(Event.GOES_ON, shapes, setup.committed(settings, shapes[0]))


def _wanted(settings: Settings, first: Stage, made: Mapping[Stage, MadeBy]) -> dict[Stage, MadeBy]:
    """What the stages from `first` on would be made by now, with a version's own symbol snapshot if it still exists."""
    return made_by(settings, STAGES[STAGES.index(first) :], symbols_of(settings, made))


def _check_made(cluster: Cluster, version: int, wanted: Mapping[Stage, MadeBy]) -> None:
    found = existing_version(cluster, version)
    if found.made != wanted:
        raise ReprocessError(
            f"version {version} was made by another policy, key, hook map, program or other symbols than are "
            "configured now; restore them, or leave out --version to make the next version"
        )


def _starts(cluster: Cluster, shape: StageShape, start: Position) -> dict[int, int]:
    """Where the first stage begins, by partition of its source."""
    source = cluster.settings.name(shape.sources[0])
    count = cluster.reader.partitions(source)
    ranges = positions.resolve(cluster.reader, source, RangeChoice(start, Last(), None, by_event_time=False))
    starts = {one.partition: one.first for one in ranges}
    missing = sorted(set(range(count)) - starts.keys())
    if missing:
        raise PositionError(f"--from names no offset for partition {missing[0]} of {source}; it has {count}")
    return starts


def _place_lost(cluster: Cluster, shapes: tuple[StageShape, ...]) -> None:
    """Set groups to their start again if Kafka has dropped their offsets, as it does after a week without commits."""
    settings = cluster.settings
    for shape in shapes:
        version = shape.version
        assert version is not None
        count = cluster.reader.partitions(settings.name(shape.sources[0]))
        lost = set(range(count)) - setup.committed(settings, shape).keys()
        found = {number: marks.start(cluster, version, shape.stage, number) for number in sorted(lost)}
        setup.place(settings, shape, {number: start for number, start in found.items() if start is not None})


def _begins(cluster: Cluster, shape: StageShape) -> dict[int, int]:
    """Where a stage of a version that has begun started, by partition of its source."""
    version = shape.version
    assert version is not None
    count = cluster.reader.partitions(cluster.settings.name(shape.sources[0]))
    found = {number: marks.start(cluster, version, shape.stage, number) for number in range(count)}
    return {number: start or 0 for number, start in found.items()}


def run_stage_of(settings: Settings, request: ReprocessRequest, stage: Stage, *, index: int | None, tied: bool) -> None:
    """Run one stage of a version that has begun, in this process, until it is stopped.

    Raises ReprocessError if it would make other records than the version's, and what `run_stage` raises.
    """
    assert request.version is not None
    with open_cluster(settings) as cluster:
        found = existing_version(cluster, request.version)
        _check_made(cluster, request.version, _wanted(settings, request.stage, found.made))
        shape = next(one for one in chain(request.stage, request.version) if one.stage is stage)
        starts = _begins(cluster, shape) if stage is request.stage else None
    symbols = symbols_of(settings, found.made)
    with contextlib.nullcontext() if starts is None else once_only(settings, shape, starts) as omission:
        plan = plan_of(
            settings,
            shape,
            index=index,
            http_port=settings.http_port,
            tied=tied,
            symbols=symbols,
            omission=omission,
        )
        run_stage(settings, plan)


class Run:
    """Runs a version's stages in processes, and samples how far they are."""

    def __init__(self, settings: Settings, ready: Ready, teller: Teller, *, index: int | None, once: bool) -> None:
        self._teller = teller
        self._once = once
        self._settings = settings
        self._shapes = ready.shapes
        self._state = CatchUp()
        self._last: tuple[StageSample, ...] = ()
        self._supervisor = Supervisor()
        self._ended = threading.Event()
        for offset, shape in enumerate(ready.shapes):
            port = settings.http_port + offset if settings.http_port else 0
            environ = {**os.environ, variable_of("http_port"): str(port), variable_of("log_level"): settings.log_level}
            self._supervisor.add(shape.stage.value, _command(ready.shapes[0], shape.stage, index), environ)

    def run(self) -> int:
        """Run until a signal, or with `once` until caught up; returns the exit code.

        Call from the main thread. Raises KafkaUnreachableError and KafkaUnusableError if the servers do not answer at
        the beginning.
        """
        with sampler(self._settings, self._shapes) as sample:
            self._take(sample())
            code = 0
            if not self._is_done:
                watching = threading.Thread(target=self._watch, args=(sample,), name="watch", daemon=True)
                watching.start()
                code = self._supervisor.run()
                self._ended.set()
                watching.join()
            with contextlib.suppress(KafkaUnreachableError, KafkaUnusableError):
                self._last = sample()
                self._state.feed(time.monotonic(), self._last)
        self._teller.turned(Event.STOPPED, self._last, self._state)
        if code or not self._state.is_caught_up:
            return code or NOT_CAUGHT_UP
        return EXPIRED if any(one.expired for stage in self._last for one in stage.values()) else 0

    @property
    def _is_done(self) -> bool:
        return self._once and self._state.is_caught_up

    def _watch(self, sample: Sample) -> None:
        said = False
        while not self._is_done and not self._ended.wait(LOOK_SECONDS):
            try:
                self._take(sample())
                said = False
            except (KafkaUnreachableError, KafkaUnusableError) as error:
                if not said:
                    log.warning("progress is unknown: %s", error)
                said = True
        self._supervisor.stop()

    def _take(self, stages: tuple[StageSample, ...]) -> None:
        self._last = stages
        if self._state.feed(time.monotonic(), stages):
            event = Event.CAUGHT_UP if self._state.is_caught_up else Event.BEHIND
            self._teller.turned(event, stages, self._state)
        else:
            self._teller.progress(stages, self._state)


def _command(first: StageShape, stage: Stage, index: int | None) -> list[str]:
    """The command of one stage's process."""
    version = ["--stage", first.stage.value, "--version", str(first.version)]
    wish = [] if index is None else ["--index", str(index)]
    return [sys.executable, "-m", "app", "reprocess", *version, "--only", stage.value, *wish, "--tied"]
