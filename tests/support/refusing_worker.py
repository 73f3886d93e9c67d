"""A canonicalize worker after a bad deployment: it refuses every tenth record of a partition, as if it were malformed.

Run as a program: `python -m tests.support.refusing_worker`, with settings in the environment. All else is the stage.
"""

import os
from collections.abc import Iterable, Sequence

from agents.canonicalize.stage import CanonicalizeStep
from agents.contract import DeadLetter, SourceRecord, StepResult
from agents.event_facts import EventFacts
from app import steps
from app.settings import Settings, load
from app.stages.worker import stage_plan
from app.streaming.stage_process import run_stage
from app.telemetry.logs import configure
from schemas.topics import Stage

REASON = "malformed_protobuf"


class RefusingStep:
    """The real step for nine records of ten."""

    def __init__(self, step: CanonicalizeStep) -> None:
        self._step = step

    def restore(self, partition: int, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """As the real step does."""
        self._step.restore(partition, rows)

    def release(self, partition: int, position: int) -> None:
        """As the real step does."""
        self._step.release(partition, position)

    def facts(self, record: SourceRecord) -> EventFacts:
        """As the real step does."""
        return self._step.facts(record)

    def __call__(self, records: Sequence[SourceRecord]) -> StepResult:
        """Account for every record exactly once."""
        result = self._step([record for record in records if record.offset % 10])
        result.dead_letters += [
            DeadLetter(
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                stage=Stage.CANONICALIZE.value,
                reason=REASON,
                error_class="DecodeError",
                raw_partition=record.partition,
                raw_offset=record.offset,
                timestamp_ms=record.timestamp,
            )
            for record in records
            if not record.offset % 10
        ]
        return result


def main() -> None:
    """Run until a signal stops it."""
    settings = load(os.environ)
    configure(settings.log_format, settings.log_level)
    real = steps.canonicalize_step

    def refusing(settings: Settings, snapshot: str | None = None) -> RefusingStep:
        return RefusingStep(real(settings, snapshot))

    steps.canonicalize_step = refusing  # type: ignore[assignment]  # a step all the same
    run_stage(settings, stage_plan(settings, Stage.CANONICALIZE, index=0, http_port=0))


if __name__ == "__main__":
    main()
