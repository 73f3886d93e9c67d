"""A stage process that counts records by key in a table: state, intervals and recovery, and no work of a stage.

Run as a program: `python -m tests.support.counting_worker INDEX`, with settings in the environment. It reads
`runtime.calls` and keeps the table `hot-symbols`; a row is a count and the offset after the last record that it
includes, so that neither a record read twice nor a row recovered twice changes a count.
"""

import os
import resource
import struct
import sys
from collections.abc import Mapping

from agents.agent import attach as attach_agent
from app.settings import load
from app.streaming.batch import RecordBatch
from app.streaming.paced_runner import PacedRunner
from app.streaming.stage_process import StagePlan, StageRuntime, run_stage
from app.streaming.table import StrictTable, TableWrite
from app.telemetry.logs import configure
from schemas import topics
from schemas.topics import Stage
from tests.support.passthrough_worker import QUICK

ROW = struct.Struct(">QQ")
"""Count, and offset after the last record that it includes."""


class Counts:
    """What was read since the last flush, by partition and key: offsets of the records."""

    def __init__(self, table: StrictTable) -> None:
        self._table = table
        self._seen: dict[int, dict[bytes, list[int]]] = {}

    def absorb(self, batch: RecordBatch) -> None:
        """Remember a batch."""
        seen = self._seen.setdefault(batch.partition, {})
        for record in batch.records:
            assert record.key is not None
            seen.setdefault(record.key, []).append(record.offset)

    async def flush(self, positions: Mapping[int, int]) -> None:
        """Add what was seen to the rows."""
        seen, self._seen = self._seen, {}
        writes = [
            TableWrite(partition, self._rows(partition, seen[partition]), position)
            for partition, position in positions.items()
        ]
        await self._table.write(writes)

    def _rows(self, partition: int, seen: dict[bytes, list[int]]) -> dict[bytes, bytes | None]:
        keys = list(seen)
        rows: dict[bytes, bytes | None] = {}
        for key, old in zip(keys, self._table.read(partition, keys), strict=True):
            count, upto = ROW.unpack(old) if old else (0, 0)
            fresh = [offset for offset in seen[key] if offset >= upto]
            if fresh:
                rows[key] = ROW.pack(count + len(fresh), fresh[-1] + 1)
        return rows


def attach(runtime: StageRuntime) -> None:
    """Attach the counting agent."""
    source = runtime.settings.name(topics.CALLS)
    counts = Counts(runtime.table(topics.HOT_SYMBOLS_TABLE, source_topic=source))
    run = PacedRunner(counts.absorb, counts.flush, min_pause_seconds=0.3)
    runtime.intervals.append(run)
    attach_agent(runtime.app, source, "privacy", run)


def _limit_files() -> None:
    """With MAX_FILE_BYTES in the environment, what would make a file larger fails, as on a disk that is full."""
    limit = int(os.environ.get("MAX_FILE_BYTES", "0"))
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def main() -> None:
    """Run until a signal stops it."""
    _limit_files()
    settings = load(os.environ)
    configure(settings.log_format, settings.log_level)
    changelog = topics.changelog(Stage.HOT_SYMBOLS, topics.HOT_SYMBOLS_TABLE)
    plan = StagePlan(
        stage=Stage.HOT_SYMBOLS,
        group=Stage.HOT_SYMBOLS.group,
        attach=attach,
        topics=(settings.name(topics.CALLS), settings.name(changelog)),
        output_topic=topics.HOT_SYMBOLS,
        index=int(sys.argv[1]),
        http_port=0,
        times=QUICK,
    )
    run_stage(settings, plan)


if __name__ == "__main__":
    main()
