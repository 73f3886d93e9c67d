"""What must survive the end of the process: unacknowledged gaps, and the time up to which heartbeats cover the node.

A folder with three files: `gaps.jsonl` (`gap_file`; a gap is synced before it is published, and the file is replaced
when all or most are acknowledged), `state.json` (a document with its digest, replaced as a whole) and `lock`. One
process uses it at a time. When the disk refuses, gaps are kept in memory and stored as soon as it takes them; `trouble`
says so meanwhile.

A damaged line costs the cause and the number of one gap, not its interval: no heartbeat covers a gap that is not
acknowledged, and every new process reports the time since the last heartbeat as a gap.
"""

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from app.evidence import documents
from app.evidence.documents import DIGEST, DocumentError
from app.evidence.typed_fields import typed
from app.ingest.gap_file import GapFile
from app.processes.folder_lock import FolderUnusableError, lock_folder
from schemas.coverage import CoverageGap, merge

log = logging.getLogger(__name__)

MAX_PENDING: Final = 10_000
"""Gaps kept one by one; beyond, a new one is merged into the last of its cause, so nothing is forgotten and the folder
stays small however long Kafka is away."""

_STATE: Final = "state.json"


@dataclass(frozen=True, slots=True)
class State:
    """The node, and up to when the last process claimed completeness (Unix epoch, ns)."""

    node: str
    vouched_until_ns: int
    cluster: str = ""


class Journal:
    """An open journal folder. Not locked against threads."""

    def __init__(self, folder: Path, lock: IO[bytes] | None = None) -> None:
        """Open the folder, making it where it is missing, with its lock or without. Raises FolderUnusableError."""
        self._folder = folder
        self._lock = lock or lock_folder(folder, setting="CALLSTREAM_DATA_DIR", owner="callstream ingest")
        try:
            self._file = GapFile(folder / "gaps.jsonl")
        except OSError as error:
            self._lock.close()
            raise FolderUnusableError(f"CALLSTREAM_DATA_DIR: cannot write to {folder}: {error.strerror}") from None
        self.pending: dict[CoverageGap, None] = dict.fromkeys(self._file.found)
        self._lines = len(self._file.found)
        self._gaps_trouble: str | None = None
        """Why the file has other gaps than are pending; None when it has the same."""
        self._state_trouble: str | None = None
        self.state = self._read_state()

    @property
    def trouble(self) -> str | None:
        """Why gaps are kept in memory only, or the state could not be saved; None when all is stored."""
        return self._gaps_trouble or self._state_trouble

    def close(self) -> None:
        """Give the folder free. Gaps that are pending stay in it."""
        self.store_again()
        self._file.close()
        self._lock.close()

    def add(self, gaps: Iterable[CoverageGap]) -> None:
        """Remember gaps until they are `done`; one sync for all of them."""
        fresh = [gap for gap in gaps if not self._merge_into_pending(gap)]
        self.pending.update(dict.fromkeys(fresh))
        if self._gaps_trouble is not None or not fresh:
            self.store_again()
            return
        try:
            self._file.append(fresh)
            self._lines += len(fresh)
        except OSError as error:
            self._fell_behind(error)

    def store_again(self) -> None:
        """Store what the disk refused before; called often, also when there is nothing to store."""
        if self._gaps_trouble is not None:
            self._rewrite()

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
            documents.write(self._folder / _STATE, documents.sealed(asdict(state)))
        except OSError as error:
            if self._state_trouble is None:
                log.error("the state of coverage cannot be saved: %s", error.strerror)
            self._state_trouble = f"the state of coverage cannot be saved: {error.strerror}"
        else:
            self._state_trouble = None

    def _rewrite(self) -> None:
        try:
            self._file.replace(self.pending)
        except OSError as error:
            self._fell_behind(error)
        else:
            self._lines = len(self.pending)
            self._gaps_trouble = None

    def _fell_behind(self, error: OSError) -> None:
        """The file has other gaps than are pending: acknowledged ones would be sent again, and others be missing."""
        if self._gaps_trouble is None:
            log.error("gaps are kept in memory only: the journal cannot be written: %s", error.strerror)
        self._gaps_trouble = f"the journal cannot be written: {error.strerror}"

    def _read_state(self) -> State | None:
        path = self._folder / _STATE
        if not path.exists():
            return None
        try:
            found = documents.read(path)
            return typed(State, {name: found[name] for name in found if name != DIGEST})
        except (DocumentError, ValueError) as error:
            log.warning("when the node was last seen is unknown: %s", error)
            return None
