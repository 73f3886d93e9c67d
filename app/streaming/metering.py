"""What a stage's runners and its watchdog report, as metrics of the table.

Everything about one batch is counted in one update, so that the books balance in every scrape. Topics are labelled by
their live names, without prefix and version.
"""

import time
from collections.abc import Mapping

from faust.types import TP

from agents.canonicalize.unknown_fields import UNKNOWN_TALLY, message_and_number
from agents.contract import StepResult
from app.kafka.records import Partition
from app.streaming.stage_app import StageApp
from app.telemetry import metrics, state_metrics
from app.telemetry.meter import Meter
from app.telemetry.metric import Metric
from app.topology import shape_of
from schemas import topics
from schemas.topics import Stage

TALLIES: Mapping[str, Metric] = {
    "frames": metrics.FRAMES,
    "redactions": metrics.REDACTIONS,
    "masked_whole": metrics.TEXTS_MASKED_WHOLE,
}
"""Metrics by the tally names that steps use; a tally without one is not published."""


class StageObserver:
    """Books of one stage process."""

    def __init__(self, meter: Meter, stage: Stage, *, topic_prefix: str, output_topic: str) -> None:
        """`output_topic` is the unprefixed topic of the stage's results."""
        self._meter = meter
        self._stage = stage
        self._prefix = topic_prefix
        self._output_topic = output_topic
        self._source = shape_of(stage).sources[0]
        self._in_flight = 0
        self._owned = set[tuple[str, str]]()

    def watch(self, app: StageApp) -> None:
        """Publish the consumer's own numbers with every scrape."""
        consumer = app.batch_consumer

        def read() -> None:
            self._meter.set(metrics.COMMITS, consumer.commits)
            self._meter.set(metrics.LAST_COMMIT, consumer.last_commit_unix_seconds)
            self._meter.set(metrics.REBALANCES, app.rebalancing_count)

        self._meter.add_source(read)
        consumer.after_commits.append(self.committed)

    def taken(self, topic: str, records: int) -> None:
        """Work on a batch begins."""
        with self._meter.together():
            self._in_flight += records
            self._meter.add(metrics.CONSUMED, records, self._label(topic))
            self._meter.set(metrics.IN_FLIGHT, self._in_flight)

    def skipped(self, topic: str, records: int) -> None:
        """Records of an unprefixed topic were never read."""
        self._meter.add(metrics.SKIPPED, records, topics.live_name(topic))

    def offsets_lost(self, topic: str, partitions: int) -> None:
        """The group had committed offsets of this many partitions, and they are gone."""
        self._meter.add(metrics.OFFSETS_LOST, partitions, self._label(topic))

    def done(self, topic: str, records: int, result: StepResult, step_seconds: float) -> None:
        """Everything that followed from a batch is acknowledged."""
        meter = self._meter
        with meter.together():
            self._in_flight -= records
            meter.add(metrics.FINISHED, records, self._label(topic))
            meter.set(metrics.IN_FLIGHT, self._in_flight)
            meter.add(metrics.CONVERTED, len(result.outputs))
            meter.add(metrics.WRITTEN, len(result.outputs), self._output_topic)
            meter.observe(metrics.CONVERSION_MS, step_seconds * 1000.0 / records, weight=records)
            for reason, count in result.skipped.items():
                meter.add(metrics.NOT_CALLS, count, reason)
            for letter in result.dead_letters:
                meter.add(metrics.DEAD_LETTERS, 1, self._stage.value, letter.reason)
                meter.add(metrics.WRITTEN, 1, topics.DEAD_LETTERS)
            for (tally, label), count in result.tally.items():
                if tally in TALLIES:
                    meter.add(TALLIES[tally], count, label)
                elif tally == UNKNOWN_TALLY:
                    meter.add(metrics.UNKNOWN_FIELDS, count, *message_and_number(label))

    def committed(self, until_ms: Mapping[TP, int]) -> None:
        """Offsets were committed; by topic and partition, the Kafka timestamp of the last record that is done."""
        now_ms = time.time() * 1_000
        with self._meter.together():
            for (topic, _), done_ms in until_ms.items():
                if self._label(topic) == self._source and done_ms:
                    self._meter.observe(state_metrics.EVENT_AGE, max(0.0, now_ms - done_ms) / 1_000)

    def lag(self, records: dict[Partition, int]) -> None:
        """Lag of every partition that the process owns."""
        with self._meter.together():
            owned = {(self._label(topic), str(number)): lag for (topic, number), lag in records.items()}
            for gone in self._owned - owned.keys():
                self._meter.forget(metrics.LAG, *gone)
            for labels, lag in owned.items():
                self._meter.set(metrics.LAG, lag, *labels)
            self._owned = set(owned)

    def _label(self, topic: str) -> str:
        return topics.live_name(topic.removeprefix(self._prefix))
