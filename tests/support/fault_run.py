"""Everything that can break, broken in a seeded order under load, with an account of what happened when.

Faults follow each other at random pauses. Those that blind ingest (itself or the agent killed) come in the first half,
so that the second half, in which only stages and the broker break, must be covered by heartbeats without a gap.

Faults that are alike are in one group. A whole run does all of them, and goes on with stages until the load is over; a
short one does one of each group, which the seed chooses.
"""

import itertools
import json
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from app.embedded.ports import pick_free
from schemas import topics
from schemas.topics import Stage
from tests.support.breakable_broker import BreakableBroker
from tests.support.delivery_run import Worker
from tests.support.live_agent import QUEUE_EVENTS, Life
from tests.support.pipeline_run import INGEST, PipelineRun

KILL, TERM = signal.SIGKILL, signal.SIGTERM
DRAIN_SECONDS = 10.0
FAILOVER_SECONDS = 15.0
REGISTRY_AWAY_SECONDS = 30.0
BROKER_PAUSE_SECONDS = 20.0
LAST_FAULT_SECONDS = 20.0
"""Before the end of the load: a stage that was away for longer than its session has to be back under load."""
LIFE_SECONDS = 3_600
"""Of an agent, at most: the load of a run goes on until its last fault is over, however slow the machine is."""
OUTLASTS_SESSION_SECONDS = 11.0
"""A member that stays away this long loses its partitions before it comes back."""

Fault = Callable[[], None]
NamedFault = tuple[str, Fault]


@dataclass(slots=True)
class LivedLife:
    """A life of the agent, and when it was over (Unix epoch, nanoseconds)."""

    life: Life
    over_ns: int


class LiveAgents:
    """One agent, life after life on the same address."""

    def __init__(self, folder: Path, *, rate_per_s: int, until_s: int, queue_events: int = QUEUE_EVENTS) -> None:
        self._folder, self._rate_per_s, self.until_s = folder, rate_per_s, until_s
        self._queue_events = queue_events
        self._port = pick_free(frozenset())
        self._metrics_port = pick_free(frozenset({self._port}))
        self._said = folder / "agent.json"
        self.lives: list[LivedLife] = []
        self.process: Worker | None = None

    @property
    def settings(self) -> dict[str, str]:
        """What ingest has to know."""
        return {
            "CALLSTREAM_TETRAGON_ADDRESS": f"127.0.0.1:{self._port}",
            "CALLSTREAM_TETRAGON_METRICS_URL": f"http://127.0.0.1:{self._metrics_port}/metrics",
        }

    def start(self, *, clock_ahead_s: int = 0, strange_every: int = 0) -> None:
        """Begin another life; the arguments are those of `Life`."""
        life = Life(
            seed=100 + len(self.lives),
            start_s=int(time.time()) + 2,
            until_s=self.until_s,
            rate_per_s=self._rate_per_s,
            listen_on=f"127.0.0.1:{self._port}",
            metrics_port=self._metrics_port,
            clock_ahead_s=clock_ahead_s,
            strange_every=strange_every,
            queue_events=self._queue_events,
            says=str(self._said) if self._said.exists() else "",
        )
        self.lives.append(LivedLife(life, life.until_s * 10**9))
        program = ("tests.support.live_agent", life.as_json())
        # where its events' libraries are found is part of what happens
        self.process = Worker(program, os.environ, self._folder / "agent.log")
        self.process.start()

    def say(self, *policies: Mapping[str, Any]) -> None:
        """Have the agent tell of these policies; one that began before the first time is too old to tell."""
        whole = self._said.with_suffix(".new")
        whole.write_text(json.dumps({"info": {"version": "v1.8.0"}, "policies": policies}))
        whole.rename(self._said)

    def end(self, number: signal.Signals) -> None:
        """End the life before its time."""
        assert self.process is not None
        self.process.end(number, within_seconds=10)
        self.lives[-1].over_ns = time.time_ns()

    def be_quiet(self) -> None:
        """Have nothing happen any more, while the agent goes on."""
        assert self.process is not None
        self.lives[-1].over_ns = time.time_ns()
        self.process.signal(signal.SIGUSR1)

    def close(self) -> None:
        """End the process, if it runs."""
        if self.process is not None:
            self.process.kill()


class FaultRun:
    """Faults against one pipeline; `drain_seconds` and `failover_seconds` are what was measured.

    The load lasts for `load_seconds`, and for longer where the faults take longer. Without `load_seconds` the run is a
    short one.
    """

    def __init__(
        self,
        pipeline: PipelineRun,
        broker: BreakableBroker,
        agents: LiveAgents,
        *,
        seed: int,
        load_seconds: float | None,
    ) -> None:
        self.pipeline, self.broker, self.agents = pipeline, broker, agents
        self._load_seconds = load_seconds
        self.chance = random.Random(seed)
        self.drain_seconds: list[float] = []
        self.failover_seconds: list[float] = []
        self.blinded: list[tuple[int, int]] = []
        """When ingest could not see: from the fault to the stream that came after, Unix epoch, nanoseconds."""
        self.story: list[str] = []
        self._began = time.monotonic()

    def run(self) -> None:
        """Do one fault after the other, and more of what breaks stages while there is time; then end the load."""
        for name, fault in [*self._chosen(self._first_half()), *self._chosen(self._second_half())]:
            self._do(name, fault)
        for name, fault in itertools.cycle(self._stages_again()):
            if self.load_seconds > (self._load_seconds or 0.0) - LAST_FAULT_SECONDS:
                break
            self._do(name, fault)
        self.pipeline.sleep(LAST_FAULT_SECONDS)
        assert time.time() < self.agents.until_s, "the load ended before the last fault"
        self.agents.be_quiet()

    @property
    def load_seconds(self) -> float:
        """How long the load has lasted."""
        return time.monotonic() - self._began

    def _do(self, name: str, fault: Fault) -> None:
        self.story.append(f"{self.load_seconds:6.1f} s  {name}")
        fault()
        self.pipeline.sleep(self.chance.uniform(1.0, 4.0))

    def _chosen(self, groups: Sequence[Sequence[NamedFault]]) -> list[NamedFault]:
        """All faults of all groups, or one of each, in an order of their own."""
        is_whole = self._load_seconds is not None
        chosen = [fault for group in groups for fault in (group if is_whole else [self.chance.choice(group)])]
        self.chance.shuffle(chosen)
        return chosen

    def _first_half(self) -> Sequence[Sequence[NamedFault]]:
        return (
            (
                ("ingest SIGKILL", lambda: self._blind(lambda: self._restart(INGEST, KILL))),
                ("agent SIGKILL", lambda: self._blind(lambda: self._restart_agent(KILL))),
            ),
            (
                ("ingest SIGTERM", lambda: self._blind(lambda: self._restart(INGEST, TERM))),
                ("agent SIGTERM", lambda: self._blind(lambda: self._restart_agent(TERM))),
            ),
            (
                ("canonicalize SIGKILL", lambda: self._restart("canonicalize-0", KILL)),
                ("privacy SIGTERM", lambda: self._restart("privacy-0", TERM)),
                ("hot-symbols SIGKILL", lambda: self._restart("hot-symbols-0", KILL)),
            ),
            (("registry away, a stage SIGKILLed meanwhile", self._registry_away),),
            (("broker paused, ingest SIGKILLed meanwhile", lambda: self._blind(self._broker_paused)),),
        )

    def _second_half(self) -> Sequence[Sequence[NamedFault]]:
        return (
            (("broker SIGKILL", self._broker_killed),) * 3,
            (
                ("canonicalize SIGTERM", lambda: self._restart("canonicalize-0", TERM)),
                ("privacy SIGKILL", lambda: self._restart("privacy-0", KILL)),
                ("hot-symbols SIGTERM", lambda: self._restart("hot-symbols-0", TERM)),
            ),
            (("a privacy worker joins and leaves", self._join_and_leave),),
            (("a canonicalize worker joins and is lost for good", self._failover),),
        )

    def _stages_again(self) -> list[NamedFault]:
        both = [
            (f"{stage.value} {number.name}", partial(self._restart, f"{stage.value}-0", number))
            for stage in Stage
            for number in (KILL, TERM)
        ]
        self.chance.shuffle(both)
        return [*both]

    def _restart(self, name: str, number: signal.Signals) -> None:
        """End a process and start it again: at once, in a moment, or after its session is over."""
        began = time.monotonic()
        code = self.pipeline.end(name, number, within_seconds=DRAIN_SECONDS)
        if number is TERM:
            self.drain_seconds.append(time.monotonic() - began)
            assert code == 0, f"{name} ended with {code} after a SIGTERM\n{self.pipeline.logs()}"
        self.pipeline.sleep(0 if name == INGEST else self.chance.choice([0.0, 1.0, OUTLASTS_SESSION_SECONDS]))
        self.pipeline.start(name)

    def _restart_agent(self, number: signal.Signals) -> None:
        self.agents.end(number)
        self.pipeline.sleep(self.chance.uniform(0.0, 2.0))
        self.agents.start()

    def _blind(self, fault: Fault) -> None:
        """Do what blinds ingest, and wait until it sees again."""
        began_ns = time.time_ns()
        fault()
        self.pipeline.sleep(1.0)
        self.pipeline.wait(lambda: self.pipeline.not_ready(INGEST) is None, 60, "ingest to see again")
        self.blinded.append((began_ns, time.time_ns()))

    def _registry_away(self) -> None:
        away_until = time.monotonic() + REGISTRY_AWAY_SECONDS
        self.broker.kill_registry()
        self.pipeline.sleep(3.0)
        victim = f"{self.chance.choice(list(Stage)).value}-0"
        self.pipeline.end(victim, KILL)
        self.pipeline.start(victim)
        self.pipeline.sleep(away_until - time.monotonic())
        self.broker.restart_registry()

    def _broker_paused(self) -> None:
        paused_until = time.monotonic() + BROKER_PAUSE_SECONDS
        self.broker.pause_kafka()
        try:
            self.pipeline.sleep(self.chance.uniform(5.0, 9.0))
            self.pipeline.end(INGEST, KILL)
            self.pipeline.start(INGEST)
            self.pipeline.sleep(paused_until - time.monotonic())
        finally:
            self.broker.resume_kafka()

    def _broker_killed(self) -> None:
        self.broker.kill_kafka()
        self.pipeline.sleep(self.chance.uniform(0.5, 4.0))
        self.broker.restart_kafka()
        self.pipeline.sleep(self.chance.uniform(3.0, 6.0))

    def _join_and_leave(self) -> None:
        self._join("privacy-1")
        began = time.monotonic()
        assert self.pipeline.end("privacy-1", TERM, within_seconds=DRAIN_SECONDS) == 0, self.pipeline.logs()
        self.drain_seconds.append(time.monotonic() - began)
        self.pipeline.sleep(OUTLASTS_SESSION_SECONDS)

    def _failover(self) -> None:
        """A second worker takes half of the partitions and is killed; the first has to take them back."""
        self._join("canonicalize-1")
        self.pipeline.end("canonicalize-1", KILL)
        before = self.pipeline.ends(topics.CANONICAL)

        def all_grow() -> bool:
            now = self.pipeline.ends(topics.CANONICAL)
            return all(now[number] > before[number] for number in before)

        self.failover_seconds.append(self.pipeline.wait(all_grow, 60, "all partitions to move again"))

    def _join(self, name: str) -> None:
        """Start one more worker, and wait until it has partitions and does its job."""
        worker = self.pipeline.start(name)

        def has_partitions() -> bool:
            ready = self.pipeline.not_ready(name) is None
            return ready and "runtime_consumer_lag_records{" in worker.get("/metrics")[1]

        self.pipeline.wait(has_partitions, 60, f"{name} to have partitions")
