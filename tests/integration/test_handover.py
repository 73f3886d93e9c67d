"""One ingest after another on its node, under load on a real broker: nothing missing, nothing twice, no gap."""

import contextlib
import json
import re
import resource
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agents.privacy.policy_file import built_in_text
from schemas import probes, topics
from schemas.probes import ProbeWindow
from schemas.raw_event import event_time_ns
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.breakable_broker import BreakableBroker
from tests.support.ingest_process import PATIENCE_S, IngestProcess, IngestSite, wait_for
from tests.support.run_size import run_size
from tests.support.shared_agent import Source, as_arguments

pytestmark = pytest.mark.integration

RATE_PER_S = 500
MOST_NODES = 20


@dataclass(slots=True)
class Node:
    """A node with its agent, and the ingest that works on it."""

    source: Source
    address: str
    folder: Path
    ingest: IngestProcess


@contextmanager
def _agents(sources: list[Source], books: dict[str, float]) -> Iterator[list[str]]:
    """The agents' addresses; at the end the source's own books are there."""
    with subprocess.Popen(as_arguments(sources), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            books.update(json.loads(process.stdout.readline() or "{}"))


@contextmanager
def _service_manager(folder: Path) -> Iterator[socket.socket]:
    """Where processes tell systemd about themselves."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(folder / "notify"))
        notify.settimeout(PATIENCE_S)
        yield notify


def _policy_windows(site: IngestSite) -> list[ProbeWindow]:
    """What is on runtime.probes of policies, as it was written."""
    found = [probes.decode(one.value() or b"") for one in site.records(topics.PROBES)]
    return [window for window in found if window.policy]


def _has_child(pid: int) -> bool:
    """Whether it started a process that it has not waited for."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                return True
    return False


def _is_ready(ingest: IngestProcess) -> bool:
    return ingest.get("/readyz")[0] == 200


def _written(site: IngestSite) -> dict[str, list[tuple[str, int]]]:
    """By node, what is on the raw topic: what each event says that it is, and when it happened."""
    found: dict[str, list[tuple[str, int]]] = {}
    for value in site.raw_values():
        event = GetEventsResponse.FromString(value)
        process = event.process_exec.process if event.HasField("process_exec") else event.process_loader.process
        found.setdefault(event.node_name, []).append((process.exec_id, event_time_ns(value) or 0))
    return found


def _expected(source: Source, kinds: Counter[str]) -> Counter[str]:
    """What happened between the first and the last of these events; a loader's group at an end counts as it is."""
    numbers = [int(kind.partition("-")[2]) for kind in kinds if kind.startswith("exec")]
    return Counter(source.kind(number) for number in range(min(numbers), max(numbers) + 1))


@pytest.mark.proof
def test_ingests_that_follow_each_other_lose_nothing_and_write_nothing_twice(
    embedded: BreakableBroker,
    topic_prefix: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """All nodes are upgraded one after the other, and only where one of the two is killed there is one true gap."""
    nodes = min(MOST_NODES, 2 * run_size())
    site = IngestSite(embedded, topic_prefix, tmp_path)
    sources = [Source(f"node-{number}", time.time_ns(), RATE_PER_S) for number in range(nodes)]
    of_source: dict[str, float] = {}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with _agents(sources, of_source) as addresses, ExitStack() as stack:

        def ingest(number: int) -> IngestProcess:
            folder = tmp_path / f"node-{number}"
            return stack.enter_context(site.ingest(addresses[number], data_dir=folder, spill_dir=folder / "spill"))

        successor_killed = nodes - 2 if nodes > 2 else None
        working = [ingest(number) for number in range(nodes)]
        for one in working:
            one.await_written(RATE_PER_S)
        for number, old in enumerate(working):
            new = working[number] = ingest(number)
            wait_for(lambda new=new: _is_ready(new), "the ingest that waits to be ready")  # type: ignore[misc]
            time.sleep(0.2)  # under load both read, for a moment
            if number == nodes - 1:
                old.send(signal.SIGTERM)
                time.sleep(0.01)
                old.kill()
            elif number == successor_killed:
                old.send(signal.SIGTERM)
                time.sleep(0.2)
                new.kill()
                old.wait()
                new = working[number] = ingest(number)
            else:
                code, books, log = old.stop()
                assert (code, books["lost_at_stop"]) == (0, 0), log
            new.await_written(RATE_PER_S)
        stopped_ns = time.time_ns()
        logs = [one.stop()[2] for one in working]

    assert of_source["dropped"] == 0, f"the source could not keep up, so this says nothing: {of_source}"
    written, gaps = _written(site), site.gaps()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    record_property("nodes", nodes)
    record_property("cpu_seconds", round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    record_property("source_late_ms", of_source["latest_ms"])
    record_property("events", sum(len(events) for events in written.values()))
    for number, source in enumerate(sources):
        kinds = Counter(kind for kind, _ in written[source.node])
        expected = _expected(source, kinds)
        missing, twice = expected - kinds, kinds - expected
        of_node = [gap for gap in gaps if gap.node == source.node and gap.to_ns < stopped_ns]
        ends = {kind for kind in (*missing, *twice) if kind.startswith("loader")}
        if number not in {successor_killed, nodes - 1}:
            assert (of_node, "without_gap=True" in logs[number]) == ([], True), logs[number]
            assert {kind for kind in missing if kind not in ends} == set()
            assert len(ends) <= 2, "only a group of loader's events at the begin or the end may be cut"
        else:
            (gap,) = of_node
            for kind in missing:
                first = int(re.sub(r"\D", "", kind)) * (1 if kind.startswith("exec") else 7)
                assert gap.from_ns <= source.time_ns(first) <= gap.to_ns
        assert not {kind for kind in twice if kind not in ends}, twice


def test_reload_of_an_ingest_hands_over_to_its_successor_and_a_bad_one_changes_nothing(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """A SIGHUP loses nothing, on one port and under systemd's eyes; where the new policy is bad, the old one stays.

    What the agent says of its policies goes on, too, without a hole.
    """
    site = IngestSite(embedded, topic_prefix, tmp_path)
    policy, good = tmp_path / "policy.toml", built_in_text("default")
    agent, of_source = tmp_path / "agent.json", dict[str, float]()
    agent.write_text(json.dumps({"policies": [{"id": 3, "name": "tls", "state": "TP_STATE_ENABLED"}]}))
    source = Source("node-reloaded", time.time_ns(), RATE_PER_S, str(agent))
    policy.write_text(good)
    with _service_manager(tmp_path) as manager, _agents([source], of_source) as (address,):
        site.environ["NOTIFY_SOCKET"] = manager.getsockname()
        with site.ingest(address, privacy_policy_file=policy, policy_poll_seconds=1) as ingest:
            ingest.await_written(RATE_PER_S)
            wait_for(lambda: bool(_policy_windows(site)), "a window of the policy")
            policy.write_text("name = ")
            ingest.send(signal.SIGHUP)
            wait_for(lambda: _has_child(ingest.pid), "a successor")
            wait_for(lambda: not _has_child(ingest.pid), "its end")
            wait_for(lambda: ingest.total("runtime_ingest_reloads_refused_total") == 1, "the refusal to be counted")
            assert _is_ready(ingest)
            policy.write_text(good)
            code = ingest.reload(lambda: int(manager.recv(100).removeprefix(b"MAINPID=")))
            ingest.await_written(RATE_PER_S)
            handed_ns = time.time_ns()
            wait_for(lambda: _policy_windows(site)[-1].to_ns > handed_ns, "a window that is longer")
            stopped_ns = time.time_ns()
            _, books, log = ingest.stop()

    assert (code, of_source["dropped"], books["lost_at_stop"]) == (0, 0, 0), log
    assert "the successor does not take over, and this ingest goes on: it ended with 2" in log
    assert "without_gap=True" in log
    kinds = Counter(kind for kind, _ in _written(site)[source.node])
    expected = _expected(source, kinds)
    wrong = {kind for kind in (*(expected - kinds), *(kinds - expected)) if kind.startswith("exec")}
    assert (wrong, [gap for gap in site.gaps() if gap.to_ns < stopped_ns]) == (set(), [])
    assert len({(window.session, window.from_ns) for window in _policy_windows(site)}) == 1
