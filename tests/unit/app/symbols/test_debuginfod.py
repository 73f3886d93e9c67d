"""Debug files come from a debuginfod server on loopback, and every way in which it can fail is a reason."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.symbols import debuginfod
from app.symbols.debuginfod import Debuginfod
from tests.support.debuginfod_server import debuginfod_server

KNOWN = "58254ca972028402bc40624f81388d85ec95f70d"
CONTENT = b"\x7fELF debug file"


@pytest.fixture
def url() -> Iterator[str]:
    """A running server's address."""
    with debuginfod_server({KNOWN: CONTENT}) as address:
        yield address


def test_debug_file_is_fetched(url: str, tmp_path: Path) -> None:
    """The answer's body is the file."""
    assert Debuginfod(url).fetch(KNOWN, tmp_path / "debug") is None
    assert (tmp_path / "debug").read_bytes() == CONTENT


def test_unknown_build_id_is_a_reason(url: str, tmp_path: Path) -> None:
    """Most servers do not know most builds."""
    assert Debuginfod(url).fetch("00" * 20, tmp_path / "debug") == "the server answered 404"


@pytest.mark.parametrize("build_id", ["../../etc", "00", KNOWN.upper(), "00" * 100])
def test_only_gnu_build_ids_are_requested(url: str, tmp_path: Path, build_id: str) -> None:
    """A file chooses its build id, and nothing else may get into a request."""
    assert Debuginfod(url).fetch(build_id, tmp_path / "debug") == "no GNU build id"


def test_answer_beyond_the_limit_is_dropped(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server cannot fill the disk."""
    monkeypatch.setattr(debuginfod, "MAX_DEBUG_FILE_BYTES", 4)

    assert Debuginfod(url).fetch(KNOWN, tmp_path / "debug") == "larger than the limit on files"


def test_server_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    """Adding goes on without a debug file."""
    reason = Debuginfod("http://127.0.0.1:1").fetch(KNOWN, tmp_path / "debug")

    assert reason is not None
    assert reason.startswith("the server could not be reached")
