"""What the kernel posted for policies against what has come: only what stays away is a loss."""

from collections.abc import Mapping
from random import Random

import pytest

from agents.probes.policy_seen import PolicySeen
from app.ingest.agent_metrics import AgentExplains
from app.ingest.kernel_books import KernelBooks
from app.ingest.node_claims import LATENESS_NS, AgentLoss
from app.ingest.policy_questions import PolicyAnswer
from schemas.coverage import GapCause
from schemas.probes import AgentAnswer
from schemas.units import NS_PER_SECOND

SECOND = NS_PER_SECOND


class CountedAgent:
    """An agent whose counters a test sets, and the books that are kept of it."""

    def __init__(self) -> None:
        self.now_s = 0
        self.received = 0
        self.explains = 0
        self.is_read = True
        self.books = KernelBooks(
            lambda: self.received,
            lambda: AgentExplains(self.explains, self.now_s * SECOND) if self.is_read else None,
        )

    def answer(self, *posts: int, stream: int = 1, ids: Mapping[int, int] | None = None) -> None:
        """The agent is asked, and answers with one policy for each counter."""
        self.books.asking()
        policies = tuple(
            PolicySeen(name=f"p{at}", policy_id=(ids or {}).get(at, at), counters={"post": count})
            for at, count in enumerate(posts)
        )
        at_ns = self.now_s * SECOND
        self.books.answered(
            PolicyAnswer(
                stream=stream, asked_ns=at_ns, answered_ns=at_ns, answer=AgentAnswer.ANSWERED, policies=policies
            )
        )

    def take(self, after_s: int) -> list[AgentLoss]:
        """What is lost by a later time."""
        self.now_s += after_s
        return self.books.take(self.now_s * SECOND)


LATE = LATENESS_NS // SECOND


def test_what_was_posted_and_never_came_is_a_loss_once() -> None:
    """The gap begins where all that was posted had come, and ends where the excess was seen."""
    agent = CountedAgent()
    agent.answer(100, 7)
    agent.now_s, agent.received = 30, 50
    agent.answer(150, 7)
    assert (agent.books.balance, agent.take(0)) == (0, [])
    agent.now_s, agent.received = 60, 58
    agent.answer(160, 8)
    assert agent.books.balance == 3
    assert agent.take(LATE - 1) == []
    assert agent.take(1) == [AgentLoss("post", 3, 30 * SECOND, 60 * SECOND, GapCause.UNEXPLAINED)]
    agent.answer(160, 8)
    assert agent.take(2 * LATE) == []


def test_what_is_late_is_no_loss() -> None:
    """It came within a minute: an agent may wait for the name of a pod."""
    agent = CountedAgent()
    agent.answer(0)
    agent.answer(10)
    agent.now_s, agent.received = 59, 10
    assert agent.take(LATE) == []


@pytest.mark.parametrize("explains", [4, 9])
def test_what_the_agent_says_that_it_lost_is_no_loss_a_second_time(explains: int) -> None:
    """One-sided: a shortfall is shown, and hides nothing that the agent counts."""
    agent = CountedAgent()
    agent.answer(0)
    agent.explains = explains
    agent.answer(4)
    assert agent.take(LATE) == []
    assert agent.books.balance == 4 - explains


def test_a_policy_that_is_loaded_anew_counts_from_nothing() -> None:
    """By its id or its counter; what one posted that is gone is not known."""
    agent = CountedAgent()
    agent.answer(1000, 50)
    agent.received = 8
    agent.answer(5, 3, ids={1: 9})
    assert agent.books.balance == 0
    agent.answer(5)
    assert agent.take(LATE) == []


def test_another_stream_and_counters_that_cannot_be_read_begin_anew() -> None:
    """What was posted while nobody read reached nobody, and coverage says so by itself."""
    agent = CountedAgent()
    agent.answer(0)
    agent.answer(10)
    agent.answer(10, stream=2)
    assert agent.take(LATE) == []
    assert agent.books.balance == 0
    agent.answer(20, stream=2)
    agent.is_read = False
    assert agent.take(LATE) == []
    agent.answer(20, stream=2)
    assert agent.books.balance is None
    agent.is_read = True
    agent.answer(30, stream=2)
    assert agent.take(LATE) == []


@pytest.mark.parametrize("hidden", [0, 1, 500])
def test_losses_are_found_in_the_end_and_nothing_else_is(seed: int, hidden: int) -> None:
    """Under load, events that come meanwhile hide a loss; when it is quiet, each is found, none twice."""
    rng = Random(seed)
    agent = CountedAgent()
    posted, found = 0, 0
    arrivals: list[tuple[int, int]] = []
    agent.answer(0)
    for turn in range(1, 60):
        agent.now_s = 30 * turn
        here = rng.randrange(2000) if turn < 50 else 0
        posted += here + (hidden if turn == 20 else 0)
        arrivals.append((agent.now_s + rng.randrange(LATE), here))
        agent.received = sum(count for at, count in arrivals if at <= agent.now_s)
        agent.answer(posted)
        for loss in agent.take(0):
            assert loss.from_ns < 30 * 20 * SECOND <= loss.to_ns
            found += loss.growth
    assert found == hidden
