"""Hostile records by seed on every topic that others may write, mixed between good events: nothing dies, all counts."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from app.embedded import kafka_server
from app.embedded.broker import EmbeddedBroker
from schemas import topics
from tests.support.attack_run import ATTACKED, Attack, Probes, good_hits
from tests.support.pipeline_run import INGEST, PipelineRun, pipeline_run
from tests.support.simulator_process import simulator_process

pytestmark = pytest.mark.integration

RECORDS = 2_000
"""Good events, and as many hostile records, at size 1."""

MOST_SECONDS = 5.0
MOST_BYTES = 512 << 20
SETTLE_SECONDS = 60


def _published(run: PipelineRun, events: list[bytes]) -> Counter[int]:
    """How often each good event is on runtime.calls, by its place among the good ones."""
    canonicalizer, places = Canonicalizer({}), {}
    for number, event in enumerate(events):
        made = canonicalizer.canonicalize(event, 0, number, 0)
        assert isinstance(made, Canonical)
        places[made.event_id.hex().encode()] = number
    found: Counter[int] = Counter()
    for record in run.records(topics.CALLS):
        place = places.get((record.value or b"")[6:38])
        if place is not None:
            found[place] += 1
    return found


@pytest.fixture
def own_broker(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedBroker]:
    """A broker for this test alone, with much memory: Kafka itself may end under such batches, and is not tested."""
    monkeypatch.setattr(kafka_server, "_HEAP_MIB", 3_072)
    with EmbeddedBroker(tmp_path_factory.mktemp("attacked")) as broker:
        yield broker


@pytest.mark.proof
def test_an_attack_on_every_topic_costs_no_process_and_no_good_event(
    own_broker: EmbeddedBroker,
    topic_prefix: str,
    tmp_path: Path,
    *,
    seed: int,
    size: int,
    record_property: Callable[[str, object], None],
) -> None:
    """No process ends, hangs for five seconds or takes 512 MiB; each good event is published and counted once."""
    limits = {"dead_letter_max_run": "0", "dead_letter_max_percent": "100"}
    with pipeline_run(own_broker, topic_prefix, tmp_path, **limits) as run:
        attack = Attack(run, seed, RECORDS * size)
        file = tmp_path / "agent.pb"
        by_agent = attack.events_file(file)
        run.start_stages()
        with simulator_process("--listen", "127.0.0.1:0", "--events", str(file), "--rate", "2000") as agent:
            run.start(INGEST, {"CALLSTREAM_TETRAGON_ADDRESS": agent.address})
            run.await_ready()
            probes = Probes(run)
            with probes.watching():
                attack.send_bombs()
                attack.send(attack.hostile_records(RECORDS * size - by_agent), rate_per_s=2_000)
                run.wait(lambda: run.ends(topics.RAW) == _settled(run), SETTLE_SECONDS * size, "the attack to be over")
                run.wait(lambda: good_hits(run) >= len(attack.good), SETTLE_SECONDS, "all good events to be counted")
                run.wait(lambda: run.books("--settled").exit_code == 0, SETTLE_SECONDS, "the books to balance")
            peaks = {name: run.processes[name].peak_bytes for name in sorted(run.wanted)}
        published = _published(run, attack.good)
        record_property("hostile", by_agent + attack.taken.total())
        record_property("refused_by_kafka", attack.refused.total())
        record_property("good", len(attack.good))
        for name, peak in peaks.items():
            record_property(f"peak_mib_{name.removesuffix('-0').replace('-', '_')}", peak >> 20)
        record_property("slowest_probe_s", round(max(probes.slowest_s.values()), 2))

        assert run.ended == [], run.logs()
        assert probes.failures == []
        assert max(probes.slowest_s.values()) < MOST_SECONDS, probes.slowest_s
        assert max(peaks.values()) < MOST_BYTES, peaks
        assert {topic for topic in ATTACKED if not attack.taken[topic]} == set(), "a topic took no hostile record"
        assert len(published) == len(attack.good)
        assert set(published.values()) == {1}
        assert good_hits(run) == len(attack.good)


def _settled(run: PipelineRun) -> dict[int, int]:
    """The raw topic's ends, if they do not move for two seconds."""
    before = run.ends(topics.RAW)
    time.sleep(2)
    return before
