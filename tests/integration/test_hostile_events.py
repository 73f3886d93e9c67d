"""Events of an agent that means harm, each kind many times: every other event is published and counted once."""

import random
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.simulator.event_files import delimited
from schemas import topics
from schemas.coverage import decode
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.text_limits import MAX_PLACE_CHARS
from tests.support.attack_run import GOOD_MODULE, GOOD_SYMBOL, good_event, good_hits
from tests.support.hostile_text import HOSTILE, faults_in
from tests.support.pipeline_run import INGEST, pipeline_run
from tests.support.simulator_process import simulator_process

pytestmark = pytest.mark.integration

GOOD: Final = (GOOD_MODULE, GOOD_SYMBOL)
NOW_S: Final = 1_767_787_201
LETTERS: Final = string.ascii_letters + string.digits


def _event(
    number: int, *frames: tuple[str, str], place: str = "", node: str = "node-1", function: str = "__x64_sys_read"
) -> bytes:
    event = GetEventsResponse(node_name=node)
    event.time.seconds, event.time.nanos = NOW_S, 1_000_000 + number
    kprobe = event.process_kprobe
    kprobe.process.exec_id, kprobe.process.binary = f"evil-{number}", "/usr/bin/x"
    kprobe.function_name, kprobe.policy_name = function, place or "p"
    if place:
        pod = kprobe.process.pod
        pod.name = pod.namespace = pod.container.id = pod.container.image.name = pod.container.image.id = place
    for module, symbol in frames:
        frame = kprobe.user_stack_trace.add()
        frame.module, frame.symbol, frame.offset = module, symbol, 4_096
    return event.SerializeToString()


def _hostile(chance: random.Random) -> Iterator[bytes]:
    """Long places, long callers, a huge symbol, hostile texts, hostile and huge names of nodes, and many symbols.

    All of those that are not refused touch the good function too.
    """

    def noise(size: int) -> str:
        return "".join(chance.choices(LETTERS, k=size))

    for number in range(40):
        yield _event(number, GOOD, place=noise(30_000))
        yield _event(100 + number, GOOD, ("/opt/evil", noise(60_000)))
        yield _event(200 + number, GOOD, ("/opt/" + HOSTILE, HOSTILE), place=HOSTILE, function=HOSTILE)
        yield _event(300 + number, GOOD, node=HOSTILE)
        yield _event(400 + number, GOOD, ("/opt/evil", chance.choice("%\x01\x7f") * 5_000))
        yield _event(500 + number, GOOD, *((f"/opt/m{number}", f"s{one}") for one in range(250)))
    for number in range(3):
        yield _event(600 + number, GOOD, ("/opt/evil", noise(450_000)))
        yield _event(700 + number, GOOD, node="N" * 1_200_000)


def _output(environ: dict[str, str], *arguments: str) -> str:
    return CliRunner().invoke(cli, list(arguments), env=environ).output


def test_an_agents_hostile_events_cost_no_other_event(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """No process ends; what is refused is a dead letter; all that is published is in the table; names are cut."""
    hostile = list(_hostile(random.Random(3)))
    good = [good_event(number, NOW_S) for number in range(500)]
    file = tmp_path / "agent.pb"
    mixed: Sequence[bytes] = random.Random(4).sample([*hostile, *good], k=len(hostile) + len(good))
    file.write_bytes(b"".join(map(delimited, mixed)))
    with (
        pipeline_run(embedded, topic_prefix, tmp_path, heartbeat_seconds="1") as run,
        simulator_process("--listen", "127.0.0.1:0", "--events", str(file)) as agent,
    ):
        run.start_stages()
        run.start(INGEST, {"CALLSTREAM_TETRAGON_ADDRESS": agent.address})
        run.await_ready()
        run.wait(lambda: sum(run.ends(topics.RAW).values()) == len(mixed), 60, "all events on the raw topic")
        run.wait(lambda: run.books("--settled").exit_code == 0, 60, "the books to balance")
        calls, refused = (sum(run.ends(topic).values()) for topic in (topics.CALLS, topics.DEAD_LETTERS))
        assert calls + refused == len(mixed)
        run.wait(lambda: good_hits(run) == calls, 30, "every call to be counted")
        nodes = {decode(record.value or b"").node for record in run.records(topics.COVERAGE)}
        assert max(map(len, nodes), default=0) <= MAX_PLACE_CHARS
        printed = _output(run.environ, "hot-symbols", "--top", "50") + _output(run.environ, "tap", topics.COVERAGE)
        assert not run.ended, run.logs()
        assert not faults_in(printed)
        assert not faults_in(run.processes[INGEST].log_tail())
        assert refused <= 6
