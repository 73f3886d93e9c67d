"""app/simulator/workload/generator.py: a load that is the same every time, and like life."""

import base64
import hashlib
import itertools
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical, NotACall
from agents.canonicalize.probes import HookKind
from app.simulator.event_files import read_events
from app.simulator.workload.binaries import mapped_binaries
from app.simulator.workload.calls import POLICY_HOOKS
from app.simulator.workload.generator import SHARES, NoSuchKindError, Workload, WorkloadOptions
from app.simulator.workload.secrets import traces
from schemas.canonical_pb2 import CanonicalEvent, ProbeType
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.tetragon.process_pb2 import Process

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc/self/maps here")

SMALL = WorkloadOptions(events=3_000, processes=16, variants=600)


@pytest.fixture(name="events", scope="module")
def _events() -> list[bytes]:
    return list(Workload(SMALL).events())


def _parsed(events: list[bytes]) -> list[GetEventsResponse]:
    return [GetEventsResponse.FromString(event) for event in events]


def _process(event: GetEventsResponse) -> Process:
    kind = event.WhichOneof("event")
    assert kind is not None
    process = getattr(event, kind).process
    assert isinstance(process, Process)
    return process


def test_a_shorter_load_is_the_beginning_of_a_longer_one(events: list[bytes]) -> None:
    """The number of events decides where it ends and nothing else."""
    shorter = WorkloadOptions(events=500, processes=SMALL.processes, variants=SMALL.variants)

    assert list(Workload(shorter).events()) == events[:500]


def test_another_seed_gives_other_events(events: list[bytes]) -> None:
    """The seed is what the load is made of."""
    other = WorkloadOptions(events=500, seed=2, processes=SMALL.processes, variants=SMALL.variants)

    assert not set(Workload(other).events()) & set(events)


@pytest.mark.slow(reason="generates loads in processes of their own")
def test_the_load_depends_on_no_clock_and_no_hash_seed(tmp_path: Path) -> None:
    """Two processes with different hash seeds, one after the other, write the same file."""
    digests = set()
    for hash_seed in ("1", "2"):
        file = tmp_path / hash_seed
        line = [sys.executable, "-m", "app", "workload", "--events", "400", "--canaries", "0.5", "--out", str(file)]
        subprocess.run(line, check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": hash_seed})
        digests.add(hashlib.sha256(file.read_bytes()).hexdigest())

    assert len(digests) == 1


def test_every_event_is_understood_and_every_probe_type_occurs(events: list[bytes]) -> None:
    """With the load's own hook map, all of Tetragon's kinds that have a probe type become calls of that type."""
    canonicalizer = Canonicalizer({policy: HookKind(hook) for policy, hook in POLICY_HOOKS.items()})
    outcomes = [canonicalizer.canonicalize(event, 0, offset, 0) for offset, event in enumerate(events)]

    assert {outcome for outcome in outcomes if isinstance(outcome, NotACall)} == {NotACall.LOADER, NotACall.THROTTLE}
    calls = [outcome for outcome in outcomes if isinstance(outcome, Canonical)]
    assert {call.probe_type for call in calls} == set(ProbeType.values()) - {0}
    assert len(calls) + sum(isinstance(outcome, NotACall) for outcome in outcomes) == len(events)


def test_no_event_is_the_same_observation_as_another(events: list[bytes]) -> None:
    """Event ids are unique, so nothing downstream takes the load for duplicates."""
    canonicalizer = Canonicalizer({})
    ids = Counter(
        outcome.event_id
        for offset, event in enumerate(events)
        if isinstance(outcome := canonicalizer.canonicalize(event, 0, offset, 0), Canonical)
    )

    assert set(ids.values()) == {1}


def test_a_process_is_announced_before_its_first_call(events: list[bytes]) -> None:
    """Loader events with true build ids come before the stacks that need them."""
    build_ids = {binary.path: binary.build_id for binary in mapped_binaries().values()}
    loaded: dict[str, set[str]] = {}
    announced: set[str] = set()
    checked = 0
    for event in _parsed(events):
        kind = event.WhichOneof("event")
        if kind == "process_loader":
            assert build_ids[event.process_loader.path] == event.process_loader.buildid
            loaded.setdefault(_process(event).exec_id, set()).add(event.process_loader.path)
        elif kind == "process_exec":
            announced.add(event.process_exec.process.exec_id)
        elif kind == "process_kprobe":
            process = _process(event).exec_id
            assert process in announced
            modules = {frame.module for frame in event.process_kprobe.user_stack_trace} & build_ids.keys()
            assert modules <= loaded.get(process, set())
            checked += bool(modules)
    assert checked > 100


def test_user_frames_are_offsets_inside_real_functions(events: list[bytes]) -> None:
    """A frame with a name lies in that function of that file; a caller may lie right behind its end."""
    functions = {
        (binary.path, function.name, function.file_offset): function
        for binary in mapped_binaries().values()
        for function in binary.functions
    }
    by_name: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for (path, name, offset), function in functions.items():
        by_name.setdefault((path, name), []).append((offset, offset + function.size))
    checked = 0
    for event in _parsed(events):
        for frame in event.process_kprobe.user_stack_trace:
            ranges = by_name.get((frame.module, frame.symbol), [])
            assert not ranges or any(start <= frame.offset <= end for start, end in ranges)
            checked += bool(ranges)
    assert checked > 1_000


def test_a_command_that_ends_is_one_that_started(events: list[bytes]) -> None:
    """Exec and exit of a short-lived process agree on who it was, and each run is another process."""
    started: dict[str, Process] = {}
    ended = 0
    for event in _parsed(events):
        if event.HasField("process_exec"):
            process = event.process_exec.process
            assert process.exec_id not in started
            started[process.exec_id] = process
        elif event.HasField("process_exit"):
            process = event.process_exit.process
            node, _, pid = base64.b64decode(process.exec_id).decode().split(":")
            assert started[process.exec_id] == process
            assert (node, int(pid), int(pid)) == (event.node_name, process.pid.value, process.tid.value)
            ended += 1
    assert ended > 50


def test_event_times_advance_but_for_loader_events(events: list[bytes]) -> None:
    """Times are strictly increasing; loader events have none, as Tetragon sends them."""
    parsed = _parsed(events)
    times = [event.time.ToNanoseconds() for event in parsed if event.HasField("time")]

    assert all(before < after for before, after in itertools.pairwise(times))
    assert {event.WhichOneof("event") for event in parsed if not event.HasField("time")} == {"process_loader"}


def test_kinds_occur_by_their_shares() -> None:
    """Only the kinds that are asked for are drawn, in the proportion that is asked for."""
    workload = Workload(WorkloadOptions(events=2_000, processes=4, variants=50, shares={"lsm": 3, "exec": 1}))
    list(workload.events())

    assert workload.kinds.keys() == {"lsm", "exec", "loader"}
    assert 2 < workload.kinds["lsm"] / workload.kinds["exec"] < 4


@pytest.mark.parametrize("shares", [{"kprobes": 1.0}, {}, {"exec": 0.0}])
def test_wrong_shares_are_refused(shares: dict[str, float]) -> None:
    """A kind that does not exist, and a load of nothing, are mistakes of the caller."""
    with pytest.raises(NoSuchKindError):
        Workload(WorkloadOptions(events=1, shares=shares))


def test_canary_events_take_their_share_and_are_known() -> None:
    """Half of the events are canary events, and every secret that is in the load is known to it."""
    workload = Workload(WorkloadOptions(events=1_000, processes=4, variants=50, canary_share=0.5))
    events = list(workload.events())

    assert workload.kinds["canary"] == 500
    assert {needle for event in events for needle in traces(event)} <= workload.planted().keys()
    assert all(workload.leaks(event) for event in events if len(event) > 20_000)


def test_secrets_stand_in_ordinary_events_too(events: list[bytes]) -> None:
    """Without canary events, some command lines and buffers hold a secret; most events hold none."""
    workload = Workload(SMALL)
    with_secret = [event for event in events if workload.leaks(event)]

    assert 0 < len(with_secret) < len(events) / 2
    assert not workload.leaks(b"nothing")


@pytest.mark.slow(reason="runs the command")
def test_workload_command_writes_what_the_simulator_reads(tmp_path: Path) -> None:
    """The file is length-delimited protobuf with the asked number of events, and the summary says what is in it."""
    file = tmp_path / "events.bin"
    line = [sys.executable, "-m", "app", "workload", "--events", "300", "--seed", "5", "--out", str(file)]
    found = subprocess.run(line, check=True, capture_output=True, text=True)

    written = list(read_events([file]))
    subprocess.run([*line[:-1], str(tmp_path / "again.bin")], check=True, capture_output=True)
    # Not compared with events made here: frames are of what a process has mapped, and tests map more than the command.
    assert written == list(read_events([tmp_path / "again.bin"]))
    assert len(written) == 300
    assert found.stdout.startswith("300 events of ")


@pytest.mark.slow(reason="runs the command for each option")
@pytest.mark.parametrize("option", ["nonsense", "kprobe=x", "kprobe=-1", "kprobes=1"])
def test_workload_command_refuses_wrong_shares_with_code_2(tmp_path: Path, option: str) -> None:
    """A wrong share is named, and no file is written."""
    file = tmp_path / "events.bin"
    line = [sys.executable, "-m", "app", "workload", "--share", option, "--out", str(file)]
    found = subprocess.run(line, check=False, capture_output=True, text=True)

    assert found.returncode == 2
    assert "--share" in found.stderr
    assert not file.exists()


def test_shares_cover_every_kind_with_a_probe_type() -> None:
    """The usual load leaves no kind of call out."""
    canonicalizer = Canonicalizer({policy: HookKind(hook) for policy, hook in POLICY_HOOKS.items()})
    for kind in set(SHARES) - {"throttle"}:
        events = Workload(WorkloadOptions(events=40, processes=1, variants=1, shares={kind: 1.0})).events()
        calls = [canonicalizer.canonicalize(event, 0, offset, 0) for offset, event in enumerate(events)]
        types = {
            CanonicalEvent.FromString(call.value).probe.probe_type for call in calls if isinstance(call, Canonical)
        }
        wanted = {"exec": "PROCESS_EXEC", "exit": "PROCESS_EXIT"}.get(kind, kind.upper())
        assert ProbeType.Value(f"PROBE_TYPE_{wanted}") in types
