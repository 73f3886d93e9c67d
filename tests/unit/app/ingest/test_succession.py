import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.ingest.client import EventStream
from app.ingest.cut import event_digests
from app.ingest.early_events import EarlyEvents
from app.ingest.handover import Handover
from app.ingest.journal import Journal
from app.ingest.link import AgentLink
from app.ingest.node_claims import NodeClaims, OpenClaim
from app.ingest.opening import Opening
from app.ingest.succession import Waited, find_passage, is_waited_for
from app.processes.folder_lock import FolderUnusableError, lock_folder
from app.telemetry.http import TelemetryServer
from app.telemetry.meter import Meter
from schemas.coverage import GapCause
from schemas.node import NodeId
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.tetragon.filters_pb2 import GetEventsRequest

S = 1_000_000_000
CLAIM = OpenClaim("node-1", "", 50 * S, (), 0)
TURN_NS = 120 * S


def _event(second: int) -> bytes:
    event: Any = GetEventsResponse(node_name="node-1")
    event.process_exec.process.exec_id = f"exec-{second}"
    event.time.seconds = second
    return bytes(event.SerializeToString())


def _waited(handover: Handover | None, seconds: range, *, asked_s: int = 90, is_open: bool = True) -> Waited:
    """A process that waited and received an event in each of these seconds."""
    opening = Opening(AgentLink("localhost:1", None, "", 10), GetEventsRequest(), b"")
    early = EarlyEvents(wall_ns=lambda: asked_s * S)
    stream = EventStream(opening.link, b"", early.put, opened=early.opened, ended=early.ended)
    if is_open:
        early.answered()
    for second in seconds:
        early.put(_event(second))
    server = TelemetryServer(Meter(), alive={}, ready={})
    return Waited(opening, stream, early, threading.Thread(), handover, TURN_NS, server, "", [])


def _handover(seconds: range, **changes: Any) -> Handover:
    tail = tuple(event_digests(_event(second) for second in seconds))
    request = Opening(AgentLink("localhost:1", None, "", 10), GetEventsRequest(), b"").digest
    return replace(Handover(request, 110 * S, tail, (seconds.stop - 1) * S, CLAIM, None), **changes)


def _goes_on(waited: Waited) -> tuple[bool, list[int]]:
    """Whether there is no gap, and the seconds of the events that are written."""
    passage = find_passage(waited, patience_seconds=0.05)
    kept = passage.select(waited.early.kept())
    return passage.claim is not None, [GetEventsResponse.FromString(event).time.seconds for event in kept]


def test_next_one_goes_on_behind_the_last_event_of_the_first() -> None:
    """Both have the events from second 95 to 110."""
    assert _goes_on(_waited(_handover(range(80, 111)), range(95, 116))) == (True, [111, 112, 113, 114, 115])


def test_quiet_node_goes_on_from_the_time_at_which_the_next_one_read() -> None:
    """The first one's last event came before the next one asked, so all that the next one has is unwritten."""
    assert _goes_on(_waited(_handover(range(60, 70)), range(112, 114))) == (True, [112, 113])
    assert _goes_on(_waited(_handover(range(60, 60), last_received_ns=0), range(0))) == (True, [])


@pytest.mark.parametrize(
    "waited",
    [
        pytest.param(_waited(None, range(95, 123)), id="killed"),
        pytest.param(_waited(_handover(range(80, 111), request="other"), range(95, 123)), id="other filters"),
        pytest.param(_waited(_handover(range(80, 111), stopped_ns=85 * S), range(95, 123)), id="no time together"),
        pytest.param(_waited(_handover(range(80, 111)), range(95, 123), is_open=False), id="stream not open"),
        pytest.param(_waited(_handover(range(80, 100)), range(101, 123)), id="no common event"),
    ],
)
def test_without_a_place_there_is_a_gap_up_to_the_turn_and_nothing_before_it_is_written(waited: Waited) -> None:
    """What happened before may have been written by the first."""
    assert _goes_on(waited) == (False, [121, 122])


def test_events_that_arrive_behind_the_cut_are_passed_over_as_often_as_they_were_written() -> None:
    """The next one's queue may be longer than the first one's."""
    waited = _waited(_handover(range(80, 105)), range(95, 101))
    passage = find_passage(waited)
    got: list[bytes] = []
    done: list[bool] = []

    late = passage.filtered(got.append, lambda: done.append(True))
    for second in range(101, 108):
        late(_event(second))

    assert [GetEventsResponse.FromString(event).time.seconds for event in got] == [105, 106, 107]
    assert done


def test_killed_ones_events_are_passed_over_until_the_latest_may_have_come() -> None:
    """An event of before the turn that comes late lies in the gap."""
    passage = find_passage(_waited(None, range(0)))
    got: list[bytes] = []
    put = passage.filtered(got.append, lambda: None)

    put(_event(TURN_NS // S - 5))
    put(_event(TURN_NS // S + 5))

    assert [GetEventsResponse.FromString(event).time.seconds for event in got] == [125]


def test_third_process_is_refused_and_the_first_knows_of_the_second(tmp_path: Path) -> None:
    """One works and one waits in a folder."""
    working = Journal(tmp_path)
    assert not is_waited_for(tmp_path)
    waiting = lock_folder(tmp_path / "waiting", setting="X", owner="callstream ingest that waits")

    assert is_waited_for(tmp_path)
    with pytest.raises(FolderUnusableError, match="that waits"):
        lock_folder(tmp_path / "waiting", setting="X", owner="callstream ingest that waits")
    waiting.close()
    working.close()


def test_claims_go_on_where_the_first_ended_with_what_is_throttled() -> None:
    """The next one's heartbeat begins at the first one's last, and an open throttling becomes a gap later."""
    claims = NodeClaims(NodeId("", "host"), None)
    claims.take_over(OpenClaim("node-1", "shop", 50 * S, ("cgroup-1",), 60 * S))

    assert (claims.opened(130 * S), claims.unvouched_since_ns) == ([], 50 * S)
    (gap,) = claims.ended(140 * S, GapCause.RECONNECT)
    assert (gap.cause, gap.node, gap.cluster, gap.from_ns, gap.to_ns) == (
        GapCause.THROTTLE,
        "node-1",
        "shop",
        60 * S,
        140 * S,
    )
