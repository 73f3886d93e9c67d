"""Follows the nodes of a cluster: the API's list, then its changes, and a new list where the API has lost us.

That all nodes were known is said up to a moment only when a watch has ended in good order: then all changes before it
are known. A watch that breaks is continued from where it was; nothing is missed by that.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from app.ingest.backoff import Backoff
from app.nodes.cluster_nodes import ClusterNodes
from app.nodes.kubernetes import ChangeKind, KubernetesAwayError, ListOverError, NodeChange, NodesApi
from schemas.coverage import CoverageGap
from schemas.units import NS_PER_SECOND

log = logging.getLogger(__name__)

BEHIND_NS: Final = 5 * NS_PER_SECOND
"""How far an API server may be behind the store that it reads."""

Say = Callable[[Iterable[CoverageGap]], None]
"""Publishes words and returns when they are stored."""


class Follower:
    """Follows one cluster until it is stopped."""

    def __init__(
        self,
        api: NodesApi,
        nodes: ClusterNodes,
        say: Say,
        stopped: threading.Event,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._api = api
        self._nodes = nodes
        self._say = say
        self._stopped = stopped
        self._wall_ns = wall_ns

    def run(self) -> None:
        """Follow. Raises KubernetesRefusedError, and what `say` raises."""
        backoff = Backoff(random.random)
        version: str | None = None
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                version = self._list() if version is None else self._watch(version)
            except ListOverError:
                log.warning("the API no longer has the changes since the last list; listing again")
                version = None
            except KubernetesAwayError as error:
                log.warning("%s; trying again", error)
                self._stopped.wait(backoff.wait_seconds(time.monotonic() - began))

    def _list(self) -> str:
        nodes, version = self._api.list()
        self._say(self._nodes.listed(nodes, self._wall_ns()))
        log.info("the cluster has %d nodes", len(nodes))
        return version

    def _watch(self, version: str) -> str:
        """One watch; returns the version behind it."""
        for change in self._api.changes(version):
            self._say(self._words_of(change))
            version = change.version or version
            if self._stopped.is_set():
                return version
        self._say(self._nodes.followed(self._wall_ns() - BEHIND_NS))
        return version

    def _words_of(self, change: NodeChange) -> list[CoverageGap]:
        if change.node is None:
            return []
        if change.kind is ChangeKind.DELETED:
            return self._nodes.deleted(change.node, self._wall_ns())
        return self._nodes.there(change.node, self._wall_ns())
