"""A thread that watches a stage's progress from outside its event loop, and ends the process when there is none.

It reads the ends of the logs from the broker through a client of its own, so that lag stays true when the stage
hangs. It reads the app's state and changes nothing. It also says whether the process is ready, which means that it
does its job. `standstill` decides what counts as standing still.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.kafka.log_ends import ANSWER_SECONDS, log_ends
from app.kafka.records import Partition
from app.kafka.topic_watch import TopicWatch
from app.processes.process_end import ExitCode, Fail, end_process
from app.streaming.membership import Rivalry
from app.streaming.stage_app import StageApp
from app.streaming.standstill import Sample, StallLimits, Standstill

log = logging.getLogger(__name__)

SAMPLE_SECONDS = 5.0
READY_STALL_SECONDS = 30.0
"""A stage that has not committed for this long, with records waiting, is not doing its job."""

READY_LAG_AGE_SECONDS = 20.0
"""Older than three samples: the lag is not known."""

MAX_REPETITIONS = 5
"""Times in a row that a partition may begin again at the same offset, after work. A rebalance commits what is done, so
two are rare."""

RIVAL_SAMPLES = 12
"""A new member id of our own is a reason to look at the group for so long, a minute: a rival joins within seconds."""

TURN_SECONDS = 1.0
"""Between two looks at the app from its own event loop."""

ALIVE_LOOP_SECONDS = 30.0
"""An event loop that has not turned for this long hangs; the longest step takes a fraction of a second."""


class Watchdog:
    """Watches one stage app. `start` it on the event loop's thread."""

    def __init__(
        self,
        app: StageApp,
        admin: AdminClient,
        publish_lag: Callable[[dict[Partition, int]], None],
        *,
        topics: TopicWatch,
        holder: Callable[[], str | None] = lambda: None,
        disown: Callable[[], None] = lambda: None,
        limits: StallLimits | None = None,
        sample_seconds: float = SAMPLE_SECONDS,
        fail: Fail = end_process,
    ) -> None:
        """`publish_lag` takes the lag of every partition that the process owns, and of no other.

        When `topics` finds one that cannot be read on, the process ends. `holder` reads the id of the member that the
        group has under our name. `disown` is called when a rival has it, before the end.
        """
        self._app = app
        self._topics = topics
        self._admin = admin
        self._holder = holder
        self._disown = disown
        self._rivalry = Rivalry()
        self._member_ids: set[str] = set()
        self._looks_left = 0
        self._publish_lag = publish_lag
        self._standstill = Standstill(limits or StallLimits())
        self._sample_seconds = sample_seconds
        self._fail = fail
        self._stop = threading.Event()
        self._lag_at_seconds = 0.0
        self._stalled: str | None = None
        self._loop_turned_at = time.monotonic()
        self._recovery_remaining: int | None = None

    def start(self) -> None:
        """Begin to watch, and to note that the event loop turns."""
        self._note_turn()
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop watching: a shutdown has a deadline of its own."""
        self._stop.set()

    # Checks for /healthz and /readyz; any thread may call them

    def alive(self) -> str | None:
        """None while the event loop turns, else what is wrong."""
        age = time.monotonic() - self._loop_turned_at
        return f"the event loop has not turned for {age:.0f} s" if age > ALIVE_LOOP_SECONDS else None

    def in_group(self) -> str | None:
        """None when the group has assigned this process its partitions, even if there are none."""
        if self._app.consumer_generation_id <= 0:
            return "not yet a member of its consumer group"
        return "its consumer group is rebalancing" if self._app.rebalancing else None

    def recovered(self) -> str | None:
        """None when the tables are up to date with their changelogs."""
        if self._app.recovery.completed.is_set() and not self._app.in_recovery:
            return None
        return "its tables are being recovered"

    def lag_known(self) -> str | None:
        """None when the broker has lately answered where the logs end."""
        age = time.monotonic() - self._lag_at_seconds
        return "the broker has not answered lately where the logs end" if age > READY_LAG_AGE_SECONDS else None

    def committing(self) -> str | None:
        """None when every partition with records waiting has committed lately."""
        return self._stalled

    # The thread

    def _run(self) -> None:
        self._topics.look()  # notes which topics they are at the start
        while not self._stop.wait(self._sample_seconds):
            sample = self._sample()
            verdict = self._standstill.feed(sample)
            self._publish(sample)
            if verdict is not None and not self._stop.is_set():
                self._fail(ExitCode.NO_PROGRESS, verdict)
            if (changed := self._topics.look()) is not None and not self._stop.is_set():
                self._fail(ExitCode.WRONG_STATE, changed)
            if (rival := self._rival()) is not None and not self._stop.is_set():
                self._disown()
                self._fail(ExitCode.INDEX_TAKEN, rival)
            if (repeated := self._repeated()) is not None and not self._stop.is_set():
                self._fail(ExitCode.SENDS_AGAIN, repeated)

    def _sample(self) -> Sample:
        committed = self._app.batch_consumer.ledger.committed()
        joined = self._app.consumer_generation_id > 0
        ends = self._ends(committed) if joined else self._broker_answers()
        return Sample(
            at_seconds=time.monotonic(),
            committed=committed,
            ends=ends,
            rebalancing=self._app.rebalancing,
            recovery_remaining=self._recovery_remaining,
            joined=joined,
        )

    def _rival(self) -> str | None:
        """Whether another process is in the group under our name; the group is read only after we had to join again."""
        if not self._looks_left:
            return None
        self._looks_left -= 1
        return self._rivalry.feed(self._member_ids, self._holder())

    def _repeated(self) -> str | None:
        """Which partition is worked on again and again, and nothing of it is committed."""
        for (topic, number), times in sorted(self._app.batch_consumer.ledger.repetitions().items()):
            if times >= MAX_REPETITIONS:
                return (
                    f"the same records of {topic}[{number}] were worked on {times + 1} times and never committed: the "
                    "group took the partition away each time. Another process may be in the group under the same name"
                )
        return None

    def _broker_answers(self) -> dict[Partition, int] | None:
        """Empty, for a process without partitions; None when no broker answers."""
        try:
            self._admin.list_topics(timeout=ANSWER_SECONDS)
        except KafkaException:
            return None
        return {}

    def _ends(self, partitions: Iterable[Partition]) -> dict[Partition, int] | None:
        try:
            return log_ends(self._admin, partitions, patience_seconds=0.0, readable=True)
        except KafkaException as error:
            log.warning("the broker did not answer where the logs end: %s", error.args[0].name())
            return None

    def _publish(self, sample: Sample) -> None:
        late = [p for p, seconds in self._standstill.stalled_seconds.items() if seconds > READY_STALL_SECONDS]
        self._stalled = f"{len(late)} partitions have records waiting and commit nothing" if late else None
        if sample.lag is not None:
            self._lag_at_seconds = time.monotonic()
            self._publish_lag(sample.lag)

    def _note_turn(self) -> None:
        """Runs on the event loop, once a second."""
        self._loop_turned_at = time.monotonic()
        own = self._app.member_id
        if own and own not in self._member_ids:
            self._looks_left = RIVAL_SAMPLES if self._member_ids else 0
            self._member_ids.add(own)
            self._rivalry.joined(time.monotonic())
        self._recovery_remaining = self._app.recovery.active_remaining_total() if self._app.in_recovery else None
        if not self._stop.is_set():
            self._app.loop.call_later(TURN_SECONDS, self._note_turn)
