from pathlib import Path

import pytest

from app.ingest.agent_metrics import CounterReading
from app.ingest.handover import Handover, leave, take
from app.ingest.node_claims import OpenClaim

CLAIM = OpenClaim("node-1", "", 5, ("cgroup-1",), 7)
HANDOVER = Handover("digest", 9, ("a", "b"), 8, CLAIM, CounterReading({"tetragon_handler_errors_total": 3}, 6))


def test_what_was_left_is_taken_once(tmp_path: Path) -> None:
    """A second process that comes later finds nothing."""
    leave(tmp_path, HANDOVER)

    assert take(tmp_path) == HANDOVER
    assert take(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00", b'{"digest":"00"}'])
def test_damaged_document_is_taken_away_and_says_nothing(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The next one has a gap then, and a log line."""
    (tmp_path / "handover.json").write_bytes(content)

    assert take(tmp_path) is None
    assert "cannot be used" in caplog.text
    assert not (tmp_path / "handover.json").exists()
