"""What loader events name becomes records of runtime.placements."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from agents.placements.seen_builds import SeenOnNode
from app.ingest.buffer import Buffer, BufferLimits
from app.ingest.keys import KeyReader
from app.ingest.placement_watch import PlacementWatch
from schemas.node import NodeId
from schemas.placements import FilePlacement
from schemas.tetragon.events_pb2 import GetEventsResponse

BUILD = bytes.fromhex("a1" * 20)
MS = 1_000_000


class Written:
    """A topic that may be away."""

    def __init__(self) -> None:
        self.placements: list[FilePlacement] = []
        self.is_ready = self.is_there = True
        self.trouble: str | None = None
        self._on_its_way: list[FilePlacement] = []

    def write(self, several: Iterable[FilePlacement]) -> bool:
        """Take them; they are there when the topic is, and nothing refuses them."""
        self._on_its_way += several
        return True

    def flush(self, timeout_seconds: float) -> bool:
        """Whether it is there."""
        assert timeout_seconds > 0
        if self.is_there:
            self.placements += self._on_its_way if self.trouble is None else []
            self._on_its_way = []
        return self.is_there


def loader(build_id: bytes, node: str = "n", cluster: str = "c") -> bytes:
    """A loader event."""
    event: Any = GetEventsResponse(node_name=node, cluster_name=cluster)
    event.process_loader.process.exec_id = "e"
    event.process_loader.path, event.process_loader.buildid = "/usr/lib/libssl.so.3", build_id
    return bytes(event.SerializeToString())


def watch_of(
    buffer: Buffer, topic: Written, public_name: Mapping[str, str] | None = None, now: list[int] | None = None
) -> PlacementWatch:
    """The watch over a buffer."""
    names, clock = public_name or {}, now or [0]
    return PlacementWatch(
        buffer.take_builds, topic, "s", public_name=lambda name: names.get(name, name), wall_ns=lambda: clock[0]
    )


def buffer_at(clock: list[int]) -> Buffer:
    """A buffer at a time in nanoseconds."""
    limits = BufferLimits(max_events=1_000, max_bytes=1 << 20, grace_seconds=1)
    return Buffer(limits, KeyReader(NodeId("", "host")), wall_ns=lambda: clock[0])


def test_a_file_that_a_process_mapped_is_told_with_the_receipt_of_its_events() -> None:
    """One record for each node and build id, however often it is mapped; nothing more is written before a day."""
    clock = [5 * MS]
    buffer, topic = buffer_at(clock), Written()
    watch = watch_of(buffer, topic)
    buffer.put(loader(BUILD))
    buffer.take()
    clock[0] = 7 * MS
    buffer.put(loader(BUILD))
    watch.step()
    buffer.put(loader(BUILD))
    watch.step()

    told = FilePlacement(node="n", cluster="c", session="s", build_id="a1" * 20, from_ns=5 * MS, to_ns=7 * MS)
    assert topic.placements == [told]


def test_what_is_on_its_way_is_not_sent_again_and_what_was_refused_is() -> None:
    """Kafka may be away for a while, or not let us write."""
    buffer, topic = buffer_at([MS]), Written()
    watch = watch_of(buffer, topic)
    topic.is_there = False
    buffer.put(loader(BUILD))
    watch.step()
    watch.step()
    topic.is_there, topic.trouble = True, "refused"
    watch.step()
    assert topic.placements == []
    topic.trouble = None
    watch.step()
    watch.step()

    assert [one.build_id for one in topic.placements] == ["a1" * 20]


@pytest.mark.parametrize(
    "build_id",
    [b"", b"\x00" * 20, b"\xff" * 20, b"short", b"x" * 21, b"password-of-alice-1"],
    ids=["none", "zeros", "ones", "short", "long", "text"],
)
def test_what_is_no_build_id_is_not_told(build_id: bytes) -> None:
    """Whoever makes a file chooses its note: what may be a text does not leave."""
    buffer, topic = buffer_at([MS]), Written()
    buffer.put(loader(build_id))
    watch_of(buffer, topic).step()

    assert topic.placements == []


def test_names_are_told_as_they_may_leave() -> None:
    """A node's name may be somebody's, and each event's own node counts."""
    buffer, topic = buffer_at([MS]), Written()
    watch = watch_of(buffer, topic, {"laptop-of-alice": "laptop-of-***"})
    for node in ("laptop-of-alice", "m"):
        buffer.put(loader(BUILD, node))
        buffer.take()
    watch.step()

    assert [one.node_id for one in topic.placements] == [NodeId("c", "laptop-of-***"), NodeId("c", "m")]


def test_an_event_without_a_node_tells_nothing() -> None:
    """Nobody knows where the file was."""
    buffer, topic = buffer_at([MS]), Written()
    buffer.put(loader(BUILD, node="", cluster=""))
    watch_of(buffer, topic).step()

    assert topic.placements == []


def test_the_last_words_need_no_look_up() -> None:
    """A process that stops has no time to wait for a registry that does not answer."""
    buffer, topic = buffer_at([MS]), Written()
    watch = watch_of(buffer, topic)
    buffer.put(loader(BUILD))
    topic.is_ready = False
    watch.finish()
    assert topic.placements == []
    topic.is_ready = True
    watch.finish()
    assert len(topic.placements) == 1


def test_files_beyond_the_limit_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """The others are told all the same."""
    found = {NodeId("c", "n"): SeenOnNode({BUILD: 1}, {BUILD: 1})}
    topic = Written()
    watch = PlacementWatch(lambda: (found, 3), topic, "s", public_name=str, wall_ns=lambda: 0)
    watch.step()
    watch.step()

    assert [record.message for record in caplog.records] == [
        "more than 16384 files were mapped on this node; runtime.placements lacks some"
    ]
    assert topic.placements == [replace(topic.placements[0], build_id="a1" * 20)]
