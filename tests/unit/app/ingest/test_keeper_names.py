"""What a keeper says and remembers when a node tells its name, and when it tells another one."""

import time
from pathlib import Path

import pytest

from app.ingest.journal import State
from app.ingest.keeper import RENAME_SECONDS
from schemas.node import NodeId
from tests.support.keeper_scene import UNAVAILABLE, KeeperScene, S, event_at


@pytest.fixture(name="scene")
def _scene(tmp_path: Path) -> KeeperScene:
    return KeeperScene(tmp_path)


def test_records_name_cluster_and_session(scene: KeeperScene) -> None:
    """Both are part of what a reader must know to tell nodes and ingests apart."""
    scene.open(event_at(10_000, "node-2", cluster="east"))
    scene.keeper.step()
    scene.now_s = 10_100
    scene.keeper.step()

    assert [(str(one.node_id), one.session) for one in scene.told.said] == [("east/node-2", "here")]
    assert scene.journal.state == State("node-2", 10_040 * S, "east")


def test_another_name_is_logged_and_remembered(scene: KeeperScene, caplog: pytest.LogCaptureFixture) -> None:
    """Alpha ends and comes back as beta, between two steps: each has its own records, and the log says it."""
    scene.open(event_at(10_000, "alpha"))
    scene.buffer.put(event_at(10_001, "alpha"))
    scene.now_s = 10_010
    scene.keeper.stream_ended(UNAVAILABLE)
    scene.now_s = 10_014
    scene.open(event_at(10_014, "beta"))

    said = [(one.node, one.cause.value, one.from_ns // S, one.to_ns // S) for one in scene.told.said]
    assert said == [("alpha", "Reconnect", 10_000, 10_010), ("beta", "Reconnect", 10_010, 10_014)]
    assert "the node is called beta from now on, and was called alpha" in caplog.text
    assert scene.journal.state == State("beta", 10_014 * S)
    scene.told.windows()
    assert scene.step_at(10_015) == []


def test_another_name_in_the_same_stream_is_noticed(scene: KeeperScene) -> None:
    """By the events, within a step."""
    scene.open(event_at(10_000, "alpha"))
    scene.step_at(10_001)
    scene.buffer.put(event_at(10_002, "beta", cluster="east"))

    assert scene.step_at(10_003) == [("Unknown", 10_000, 10_003)]
    assert scene.journal.state == State("beta", 10_003 * S, "east")


def test_an_agent_that_changes_its_name_with_each_event_costs_a_record_now_and_then(
    scene: KeeperScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one for each name, and what it is called in the end is noticed all the same."""
    scene.open(event_at(10_000, "n0"))
    for number in range(1, 50):
        scene.buffer.put(event_at(10_000 + number, f"n{number}"))
        scene.step_at(10_000 + number)
    assert scene.journal.state == State("n1", 10_001 * S)
    monkeypatch.setattr("app.ingest.keeper.time.monotonic", lambda: time.monotonic_ns() / 1e9 + RENAME_SECONDS)
    assert ("Unknown", 10_001, 10_100) in scene.step_at(10_100)
    assert scene.journal.state is not None
    assert scene.journal.state.node == "n49"


def test_names_are_cut_behind_the_filter(scene: KeeperScene) -> None:
    """Key and value of a record agree, whatever an agent calls itself, and long names stay apart."""
    scene.open(event_at(10_000, "n" * 100_000, cluster="c" * 100_000))
    scene.step_at(10_000)
    scene.now_s = 10_100
    scene.keeper.step()

    (beat,) = scene.told.said
    assert beat.node_id == NodeId("c" * 100_000, "n" * 100_000).within_limits()


def test_last_words_name_a_node_that_nothing_was_said_of(scene: KeeperScene) -> None:
    """A process that ends after ten seconds leaves a record of its node."""
    scene.open(event_at(10_000, "alpha"))
    scene.now_s = 10_010
    scene.keeper.finish(1.0)

    assert scene.told.windows() == [("IngestRestart", 10_000, 10_010)]
