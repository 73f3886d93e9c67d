"""What must survive the end of the process: unacknowledged gaps, and the time up to which heartbeats cover the node.

A folder with three files: `gaps.jsonl` (one gap a line, appended and synced before the gap is published, rewritten
when all or most are acknowledged), `state.json` (replaced as a whole) and `lock`. One process uses it at a time. A
half-written last line is left out: its gap was not published. When the disk refuses, gaps are kept in memory and a
log line says so.
"""

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from app.processes.folder_lock import FolderUnusableError, lock_folder
from schemas.coverage import CoverageGap, from_record, merge

log = logging.getLogger(__name__)

MAX_PENDING: Final = 10_000
"""Gaps kept one by one; beyond, a new one is merged into the last of its cause, so nothing is forgotten and the folder
stays small however long Kafka is away."""


@dataclass(frozen=True, slots=True)
class State:
    """The node, and up to when the last process claimed completeness (Unix epoch, ns)."""

    node: str
    vouched_until_ns: int


class Journal:
    """An open journal folder. Not locked against threads."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, making it where it is missing. Raises FolderUnusableError."""
        self._folder = folder
        self._lock = lock_folder(folder, setting="CALLSTREAM_DATA_DIR", owner="callstream ingest")
        try:
            self._gaps: IO[str] = (folder / "gaps.jsonl").open("a+", encoding="utf-8")
        except OSError as error:
            self._lock.close()
            raise FolderUnusableError(f"CALLSTREAM_DATA_DIR: cannot write to {folder}: {error.strerror}") from None
        self.pending: dict[CoverageGap, None] = dict.fromkeys(self._read_gaps())
        self._lines = len(self.pending)
        self.state = self._read_state()

    def close(self) -> None:
        """Give the folder free. Gaps that are pending stay in it."""
        self._gaps.close()
        self._lock.close()

    def add(self, gaps: Iterable[CoverageGap]) -> None:
        """Remember gaps until they are `done`; one sync for all of them."""
        fresh = [gap for gap in gaps if not self._merge_into_pending(gap)]
        self.pending.update(dict.fromkeys(fresh))
        self._lines += len(fresh)
        try:
            self._gaps.write("".join(json.dumps(gap.as_record()) + "\n" for gap in fresh))
            self._sync(self._gaps)
        except OSError as error:
            log.error("gaps are kept in memory only: %s", error)

    def done(self, gap: CoverageGap) -> None:
        """A gap is acknowledged. Harmless when it is not pending."""
        if self.pending.pop(gap, gap) is None and (not self.pending or self._lines > MAX_PENDING + len(self.pending)):
            self._rewrite()

    def _merge_into_pending(self, gap: CoverageGap) -> bool:
        """Beyond the limit, widen the last gap of the same cause to cover this one. False if no such gap is pending."""
        if len(self.pending) < MAX_PENDING:
            return False
        for known in reversed(self.pending):
            merged = merge(known, gap)
            if merged is not None:
                self.pending = dict.fromkeys(merged if one is known else one for one in self.pending)
                self._rewrite()
                return True
        return False

    def save(self, state: State) -> None:
        """Remember up to when heartbeats cover the node."""
        self.state = state
        try:
            self._replace("state.json", json.dumps(asdict(state)))
        except OSError as error:
            log.error("the state of coverage cannot be saved: %s", error)

    def _rewrite(self) -> None:
        try:
            self._replace("gaps.jsonl", "".join(json.dumps(gap.as_record()) + "\n" for gap in self.pending))
            self._lines = len(self.pending)
            self._gaps.close()
            self._gaps = (self._folder / "gaps.jsonl").open("a+", encoding="utf-8")
        except OSError as error:
            log.error("acknowledged gaps stay in the journal and will be sent again: %s", error)

    def _replace(self, name: str, content: str) -> None:
        fresh = self._folder / f"{name}.new"
        with fresh.open("w", encoding="utf-8") as file:
            file.write(content)
            self._sync(file)
        fresh.replace(self._folder / name)

    @staticmethod
    def _sync(file: IO[str]) -> None:
        file.flush()
        os.fsync(file.fileno())

    def _read_gaps(self) -> list[CoverageGap]:
        self._gaps.seek(0)
        gaps = []
        for number, line in enumerate(self._gaps, start=1):
            try:
                gaps.append(from_record(json.loads(line)))
            except (ValueError, KeyError, TypeError):
                log.warning("line %d of %s is not a gap and is left out", number, self._gaps.name)
        if gaps and not line.endswith("\n"):
            self._gaps.write("\n")
        return gaps

    def _read_state(self) -> State | None:
        try:
            found: Any = json.loads((self._folder / "state.json").read_text(encoding="utf-8"))
            return State(str(found["node"]), int(found["vouched_until_ns"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("%s cannot be read; when the node was last seen is unknown", self._folder / "state.json")
            return None
