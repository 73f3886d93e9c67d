"""Tells on runtime.placements which files the node's processes were seen to map, from what loader events named.

What an ingest that ends has not published yet is some seconds old, and is lost; what it published stays on the topic.
So nothing is handed over: the next ingest tells of what it sees itself.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from agents.placements.node_files import NodeFiles
from agents.placements.seen_builds import MAX_BUILDS, SeenOnNode
from agents.symbols.build_ids import told_build_id
from app.ingest.public_words import public_node
from schemas.node import NodeId
from schemas.placements import FilePlacement
from schemas.units import NS_PER_MS

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 5.0
"""Between two looks; a file that is mapped again and again costs one look-up in this time."""
_FLUSH_SECONDS: Final = 0.5
"""A stop waits for a thread twice as long. What a broker has not acknowledged then is looked at the next time."""


class PlacementWriter(Protocol):
    """Where placements go, as a `RecordWriter` is one."""

    @property
    def is_ready(self) -> bool:
        """Whether nothing has to be looked up first."""

    @property
    def trouble(self) -> str | None:
        """Why placements cannot be written; None when they can."""

    def write(self, several: Iterable[FilePlacement]) -> bool:
        """Send placements; returns whether all are on their way."""

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until nothing is on its way any more; returns whether it is so."""


class PlacementWatch:
    """Follows what the buffer sees. `run` is a thread's work; `stop` may be called from any thread."""

    def __init__(
        self,
        take: Callable[[], tuple[Mapping[NodeId, SeenOnNode], int]],
        writer: PlacementWriter,
        session: str,
        *,
        public_name: Callable[[str], str],
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`take` gives what was seen since it was called last, as `SeenBuilds.take` does."""
        self._take, self._writer = take, writer
        self._public_name, self._wall_ns = public_name, wall_ns
        self._files = NodeFiles(session)
        self._sent: list[FilePlacement] = []
        self._has_said_full = False
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look until `stop`."""
        while not self._stopped.wait(PAUSE_SECONDS):
            self.step()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    def finish(self) -> None:
        """When `run` has ended: tell what is left, if that needs no look-up."""
        if self._writer.is_ready:
            self.step()

    def step(self) -> None:
        """Take what was seen, and publish what is due, once the broker has what was published before."""
        found, left_out = self._take()
        for node, seen in found.items():
            public = public_node(self._public_name, node)
            for build_id, first_ms in seen.first_ms.items():
                if text := told_build_id(build_id):
                    times = first_ms * NS_PER_MS, seen.last_ms[build_id] * NS_PER_MS
                    left_out += not self._files.saw(public, text, *times)
        if left_out and not self._has_said_full:
            self._has_said_full = True
            log.warning("more than %d files were mapped on this node; runtime.placements lacks some", MAX_BUILDS)
        if self._is_settled():
            due = self._files.due(self._wall_ns())
            if due and self._writer.write(due):
                self._sent = due
                self._is_settled()

    def _is_settled(self) -> bool:
        """Whether nothing is on its way any more. The topic has it then, or it is due again."""
        if not self._sent:
            return True
        if not self._writer.flush(_FLUSH_SECONDS):
            return False
        if self._writer.trouble is None:
            self._files.told(self._sent, self._wall_ns())
        self._sent = []
        return True
