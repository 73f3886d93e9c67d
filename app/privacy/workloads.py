"""Counts which workloads put secrets into arguments: `callstream privacy workloads`.

Counts alone, because that is what a security team needs to fix: where a secret is passed by arguments, anybody on the
node can read it. A call whose process has a mask among its arguments counts. Names are those that the policy lets out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agents.contract import UNREADABLE_BATCH
from agents.privacy.matching.masks import REDACTED
from app.kafka.refused import RefusedRecords
from app.kafka.schemas import RecordFault
from app.kafka.topic_reader import TopicReader
from app.progress import Progress
from app.settings import Settings
from schemas import records, topics

_MAX_GROUPS: Final = 10_000
"""Workloads and programs that are counted apart; what comes beyond is counted together."""

_OTHERS: Final = ("", "", "(others)")


@dataclass(frozen=True, slots=True)
class WorkloadSecrets:
    """One program of a workload: its calls, and how many of them had a secret among the arguments."""

    namespace: str
    workload: str
    binary: str
    calls: int
    with_secrets: int


def read_calls(settings: Settings, progress: Progress, refused: RefusedRecords) -> Iterator[Mapping[str, Any]]:
    """All calls that the topic holds; what cannot be read is noted in `refused`. Raises what `TopicReader` raises."""
    name = settings.name(topics.CALLS)
    with TopicReader(settings) as reader:
        total = sum(ends.offsets for ends in reader.all_ends(name).values())
        for record in progress.each(reader.records(name), "records read", total):
            if record.value is UNREADABLE_BATCH:
                refused.refuse(record, RecordFault.BATCH_TOO_LARGE)
                continue
            try:
                yield records.decode(records.CALL, record.value or b"")
            except (ValueError, EOFError, IndexError, KeyError, TypeError):
                refused.refuse(record, RecordFault.MALFORMED)


def secrets_by_workload(calls: Iterable[Mapping[str, Any]]) -> list[WorkloadSecrets]:
    """Programs that had secrets among their arguments, those with most first."""
    seen: Counter[tuple[str, str, str]] = Counter()
    secret: Counter[tuple[str, str, str]] = Counter()
    for call in calls:
        process = call["process"]
        group = (call.get("namespace") or "", call.get("workload") or "", process.get("binary") or "")
        if group not in seen and len(seen) >= _MAX_GROUPS:
            group = _OTHERS
        seen[group] += 1
        secret[group] += REDACTED in (process.get("arguments") or "")
    found = [WorkloadSecrets(*group, seen[group], count) for group, count in secret.items() if count]
    return sorted(found, key=lambda one: (-one.with_secrets, one.namespace, one.workload, one.binary))
