"""What the watchdog sees, says and does, with an app and a broker that the test makes up."""

import asyncio
import threading
from typing import Any

import pytest
from confluent_kafka import IsolationLevel, KafkaError, KafkaException

from app.kafka.records import Partition
from app.kafka.topic_watch import TopicWatch
from app.processes.process_end import ExitCode
from app.streaming import watchdog as module
from app.streaming.ledger import FetchLink, Ledger
from app.streaming.standstill import StallLimits
from app.streaming.watchdog import MAX_REPETITIONS, Watchdog

TP = ("tetragon.raw", 0)


class _Recovery:
    def __init__(self) -> None:
        self.completed = threading.Event()
        self.completed.set()

    def active_remaining_total(self) -> int:
        return 7


class _App:
    """A stage app as far as the watchdog looks at it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.consumer_generation_id = 1
        self.member_id = "member-1"
        self.rebalancing = False
        self.in_recovery = False
        self.recovery = _Recovery()
        self.batch_consumer = self
        self.ledger = Ledger()
        self.ledger.open(TP, 5, seek=1)


class _Answer:
    def __init__(self, end: int | None) -> None:
        self._end = end

    def result(self) -> Any:
        if self._end is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return type("End", (), {"offset": self._end})()


class _Admin:
    def __init__(self) -> None:
        self.end: int | None = 9
        self.topic_id = "first-life"

    def list_offsets(self, asked: dict[Any, Any], isolation_level: Any, request_timeout: float) -> dict[Any, _Answer]:
        assert isinstance(isolation_level, IsolationLevel)
        assert request_timeout > 0
        return {tp: _Answer(self.end) for tp in asked}

    def describe_topics(self, asked: Any, request_timeout: float) -> dict[str, Any]:
        assert request_timeout > 0
        found = type("Described", (), {"topic_id": self.topic_id, "partitions": [None] * 4})()
        return {name: type("Answer", (), {"result": lambda _: found})() for name in asked.topic_names}

    def describe_configs(self, asked: Any, request_timeout: float) -> dict[Any, Any]:
        assert request_timeout > 0
        assert asked
        return {}

    def list_topics(self, timeout: float) -> None:
        assert timeout > 0
        if self.end is None:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))


class _Observer:
    def __init__(self) -> None:
        self.seen: list[dict[Partition, int]] = []

    def lag(self, records: dict[Partition, int]) -> None:
        self.seen.append(records)


class _Scene:
    """A watchdog that samples every few milliseconds."""

    def __init__(self, limits: StallLimits) -> None:
        self.ends: list[tuple[ExitCode, str]] = []
        self.holder: str | None = "member-1"
        self.app = _App(asyncio.get_running_loop())
        self.admin, self.observer = _Admin(), _Observer()
        app: Any = self.app
        admin: Any = self.admin
        self.watchdog = Watchdog(
            app,
            admin,
            self.observer.lag,
            topics=TopicWatch(admin, ["runtime.calls"], 4),
            holder=lambda: self.holder,
            limits=limits,
            sample_seconds=0.01,
            fail=self._end,
        )

    def _end(self, code: ExitCode, reason: str) -> Any:
        self.ends.append((code, reason))
        self.watchdog.stop()

    async def until(self, condition: Any) -> None:
        """Wait until something is true."""
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - the watchdog lives in a thread
                await asyncio.sleep(0.005)


def test_a_stage_that_stands_still_is_ended_with_the_partition_named() -> None:
    """The end of the log is ahead, and nothing is committed."""

    async def scenario() -> None:
        scene = _Scene(StallLimits(commit=0.05))
        scene.watchdog.start()
        await scene.until(lambda: scene.ends)
        ((code, reason),) = scene.ends
        assert code is ExitCode.NO_PROGRESS
        assert "tetragon.raw[0]" in reason

    asyncio.run(scenario())


def test_a_topic_that_was_made_anew_ends_the_stage() -> None:
    """It has the name of the former one and none of its records."""

    async def scenario() -> None:
        scene = _Scene(StallLimits())
        scene.watchdog.start()
        await scene.until(lambda: scene.observer.seen)
        assert not scene.ends
        scene.admin.topic_id = "second-life"
        await scene.until(lambda: scene.ends)
        assert scene.ends == [(ExitCode.WRONG_STATE, "runtime.calls was deleted and created again while the stage ran")]

    asyncio.run(scenario())


def test_a_stage_that_commits_is_left_alone_and_its_lag_is_told() -> None:
    """However far behind it is."""

    async def scenario() -> None:
        scene = _Scene(StallLimits(commit=0.2))
        scene.admin.end = 1_000
        scene.watchdog.start()
        for position in range(6, 60):
            scene.app.ledger.note_committed(TP, position)
            await asyncio.sleep(0.01)
        scene.watchdog.stop()
        assert not scene.ends
        assert {TP: 1_000 - 59} in scene.observer.seen or {TP: 1_000 - 58} in scene.observer.seen

    asyncio.run(scenario())


def test_a_broker_that_does_not_answer_makes_the_lag_unknown_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stage is not ready then, because nobody knows how far behind it is."""
    monkeypatch.setattr(module, "READY_LAG_AGE_SECONDS", 0.1)

    async def scenario() -> None:
        scene = _Scene(StallLimits(commit=0.05))
        scene.admin.end = 5
        scene.watchdog.start()
        await scene.until(lambda: scene.observer.seen)
        assert scene.watchdog.lag_known() is None
        scene.admin.end = None
        await scene.until(lambda: scene.watchdog.lag_known() is not None)
        assert not scene.ends
        scene.watchdog.stop()

    asyncio.run(scenario())


def test_readiness_follows_the_group_and_the_tables() -> None:
    """Each check says what is wrong in a sentence, or nothing."""

    async def scenario() -> None:
        scene = _Scene(StallLimits())
        watchdog, app = scene.watchdog, scene.app
        assert watchdog.in_group() is None
        assert watchdog.recovered() is None
        assert watchdog.committing() is None
        assert watchdog.lag_known() is not None  # nothing was sampled yet
        app.rebalancing = True
        assert "rebalancing" in (watchdog.in_group() or "")
        app.consumer_generation_id = 0
        assert "not yet a member" in (watchdog.in_group() or "")
        app.in_recovery = True
        assert "recovered" in (watchdog.recovered() or "")

    asyncio.run(scenario())


def test_a_stalled_partition_makes_the_stage_unready_before_it_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that an operator sees it first."""
    monkeypatch.setattr(module, "READY_STALL_SECONDS", 0.05)

    async def scenario() -> None:
        scene = _Scene(StallLimits(commit=60.0))
        scene.watchdog.start()
        await scene.until(lambda: scene.watchdog.committing() is not None)
        scene.app.ledger.note_committed(TP, 9)
        await scene.until(lambda: scene.watchdog.committing() is None)
        scene.watchdog.stop()
        assert not scene.ends

    asyncio.run(scenario())


def test_an_event_loop_that_hangs_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The health endpoint has a thread of its own and can tell."""
    monkeypatch.setattr(module, "ALIVE_LOOP_SECONDS", 0.05)

    async def scenario() -> None:
        scene = _Scene(StallLimits())
        scene.watchdog.start()
        assert scene.watchdog.alive() is None
        hung = threading.Event()
        answers: list[str | None] = []

        def ask() -> None:
            hung.wait()
            answers.append(scene.watchdog.alive())

        asking = threading.Thread(target=ask)
        asking.start()
        threading.Timer(0.2, hung.set).start()
        asking.join()  # holds the loop
        assert answers != [None]
        scene.watchdog.stop()

    asyncio.run(scenario())


def test_a_process_that_its_group_does_not_take_in_is_ended_if_the_broker_answers() -> None:
    """Without partitions there is no lag to see; the broker's answer tells a hang from an outage."""

    async def scenario() -> None:
        scene = _Scene(StallLimits(joining=0.05))
        scene.app.consumer_generation_id = 0
        scene.admin.end = None
        scene.watchdog.start()
        await asyncio.sleep(0.3)
        assert not scene.ends
        scene.admin.end = 9
        await scene.until(lambda: scene.ends)
        assert scene.ends[0][0] is ExitCode.NO_PROGRESS

    asyncio.run(scenario())


def test_a_stage_that_another_process_pushes_out_of_its_group_again_and_again_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own next member id, seen in the group before it knows it, ends nothing."""
    monkeypatch.setattr(module, "TURN_SECONDS", 0.02)

    async def scenario() -> None:
        scene = _Scene(StallLimits())
        scene.app.ledger.close_all()
        scene.watchdog.start()
        for number in range(2, 5):
            scene.holder = scene.app.member_id = f"member-{number}"
            await asyncio.sleep(0.1)
        assert scene.ends == []
        for number in range(5, 9):
            scene.holder = f"rival-{number}"
            scene.app.member_id = f"member-{number}"
            await asyncio.sleep(0.1)
        assert [code for code, _ in scene.ends[:1]] == [ExitCode.INDEX_TAKEN]
        assert "same name" in scene.ends[0][1]

    asyncio.run(scenario())


def test_a_stage_that_sends_the_same_records_again_and_again_is_ended_with_the_partition_named() -> None:
    """Its partition is lost after the work and before the commit, each time."""

    async def scenario() -> None:
        scene = _Scene(StallLimits())
        scene.watchdog.start()
        for seek in range(1, MAX_REPETITIONS + 1):
            scene.app.ledger.admit(TP, 5, 9, FetchLink(seek, 0))
            assert scene.ends == []
            scene.app.ledger.close_all()
            scene.app.ledger.open(TP, 5, seek=seek + 1)
        await scene.until(lambda: scene.ends)
        assert scene.ends[0][0] == ExitCode.SENDS_AGAIN
        assert "tetragon.raw[0]" in scene.ends[0][1]

    asyncio.run(scenario())
