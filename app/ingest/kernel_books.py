"""The books from the kernel on: what policies posted, against what came of it. One-sided: only an excess is a loss.

    posted = received + halves of return hooks + lost by the agent, as it counts itself + on the way

The agent counts what each policy handed over in the kernel (`post`). A hook with a return posts twice for one event:
the agent keeps the first half until the second comes, and may then filter the event, so both count by its own counters
of merges, and events with a return count for nothing. What is on the way has come after a while, so what was posted is
compared with what has come a minute later. Events that came meanwhile may hide a loss until there are fewer of them; so
a gap begins where everything that was posted had come at once, and ends where the excess was seen.

A shortfall is only shown: an event that came before the first answer, or a policy that is gone.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from app.ingest.agent_metrics import AgentExplains, AgentMetrics
from app.ingest.buffer import Buffer
from app.ingest.filter_effect import NO_FILTERS, FiltersInForce
from app.ingest.node_claims import LATENESS_NS, AgentLoss
from app.ingest.policy_questions import PolicyAnswer
from schemas.coverage import GapCause
from schemas.probe_types import UNKNOWN

OF_POLICIES: Final = frozenset({"Kprobe", "Tracepoint", "Uprobe", "Lsm", "USDT", UNKNOWN})
"""Kinds of events that are one post each. What could not be read may be of any kind."""

_MAX_WAITING: Final = 1_000
"""Answers that are compared later; of an agent whose counters cannot be read for long, the first ones."""

_POST: Final = "post"
_PolicyKey = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class _Posted:
    events: int
    at_ns: int


class KernelBooks:
    """The books of one agent. `answered` and `take` may be called from different threads."""

    def __init__(self, received: Callable[[], int], explains: Callable[[], AgentExplains | None]) -> None:
        """`received` counts events of policies without a return; `explains` is None while nobody reads the agent's."""
        self._received, self._explains = received, explains
        self._lock = threading.Lock()
        self._stream: int | None = None
        self._counters: Mapping[_PolicyKey, int] = {}
        self._posted = 0
        self._begun_at = 0
        self._balanced_ns = 0
        self._told = 0
        self._waiting: list[_Posted] = []
        self._had_come: int | None = None
        self.balance: int | None = None
        """Posted less explained, as it was when the agent answered last; None before there is something to compare."""

    def asking(self) -> None:
        """The agent gets the question now: what has come by now was posted before."""
        explained = self._explained()
        with self._lock:
            self._had_come = None if explained is None else explained.events

    def answered(self, found: PolicyAnswer) -> None:
        """Take the counters of an answer. Another stream begins at 0: what was posted in between reached nobody."""
        counters = {
            (one.domain, one.namespace, one.name, one.policy_id): one.counters.get(_POST, 0) for one in found.policies
        }
        with self._lock:
            if self._had_come is None or found.stream != self._stream:
                self._begin(found, counters)
                return
            self._posted += sum(_growth(self._counters.get(key), count) for key, count in counters.items())
            self._counters = counters
            self.balance = self._posted - (self._had_come - self._begun_at)
            if self.balance <= self._told:  # nothing that was posted by then is missing
                self._balanced_ns = found.asked_ns
                self._waiting.clear()
            elif len(self._waiting) < _MAX_WAITING:
                self._waiting.append(_Posted(self._posted, found.answered_ns))

    def take(self, now_ns: int) -> list[AgentLoss]:
        """What was posted for long enough, and nothing explains where it is; each event once."""
        with self._lock:
            if not self._waiting or now_ns < self._waiting[0].at_ns + LATENESS_NS:
                return []
            explained = self._explained()
            posted = self._waiting[0]
            if explained is None or explained.read_at_ns < posted.at_ns + LATENESS_NS // 2:  # read each 10 s
                return []
            del self._waiting[0]
            excess = posted.events - (explained.events - self._begun_at) - self._told
            if excess <= 0:
                return []
            self._told += excess
            return [AgentLoss("post", excess, self._balanced_ns, posted.at_ns, GapCause.UNEXPLAINED)]

    def _begin(self, found: PolicyAnswer, counters: Mapping[_PolicyKey, int]) -> None:
        self._stream = None if self._had_come is None else found.stream
        self._counters, self._posted, self._told = counters, 0, 0
        self._begun_at = self._had_come or 0
        self._balanced_ns = found.asked_ns
        self._waiting.clear()
        self.balance = None if self._had_come is None else 0

    def _explained(self) -> AgentExplains | None:
        """What has come, and what the agent says need not come."""
        agent = self._explains()
        return None if agent is None else AgentExplains(agent.events + self._received(), agent.read_at_ns)


def kernel_books_of(buffer: Buffer, agent: AgentMetrics | None, filters: FiltersInForce) -> KernelBooks | None:
    """None where filters of ingest leave events out, or nobody reads what the agent loses."""
    if agent is None or filters != NO_FILTERS:
        return None
    return KernelBooks(lambda: buffer.received_of(OF_POLICIES), agent.explains)


def _growth(before: int | None, now: int) -> int:
    """Of a counter; a policy that is new counted from 0, and so did one whose counter fell."""
    return now if before is None or now < before else now - before
