"""Java's options for what it learned at an earlier start."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.embedded import prepare
from app.embedded.artifacts import Artifacts
from app.embedded.broker import EmbeddedBroker
from app.embedded.failures import EmbeddedError, Failure
from app.embedded.pins import read_pins
from app.embedded.start_caches import start_options


@pytest.fixture
def fetched(tmp_path: Path) -> Artifacts:
    """Artifacts of which no start was recorded."""
    return Artifacts(tmp_path / "kafka", tmp_path / "registry", read_pins(), tmp_path / "starts")


def test_a_program_gets_the_cache_that_was_made_of_it(fetched: Artifacts) -> None:
    """The file of another program is not for it; where there is none, Java gets no option."""
    fetched.start_caches.mkdir()
    (fetched.start_caches / "kafka.aot").touch()
    assert start_options(fetched, "kafka")[-1] == f"-XX:AOTCache={fetched.start_caches}/kafka.aot"
    assert start_options(fetched, "registry") == ()


def test_a_recorded_start_writes_and_does_not_read(fetched: Artifacts) -> None:
    """A cache is made of what Java does without one."""
    fetched.start_caches.mkdir()
    (fetched.start_caches / "kafka.aot").touch()
    options = start_options(replace(fetched, records_starts=True), "kafka")
    assert options[-1] == f"-XX:AOTCacheOutput={fetched.start_caches}/kafka.aot"
    assert not any(option.startswith("-XX:AOTCache=") for option in options)


def test_a_recorded_start_that_fails_costs_only_the_speed(fetched: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note says why; nothing is left behind, and the next time it is tried again."""

    def fail(_broker: EmbeddedBroker) -> None:
        raise EmbeddedError(Failure.NOT_READY, "kafka ended with code 1")

    monkeypatch.setattr(prepare, "ensure", lambda _report, cache: fetched)  # noqa: ARG005 - called by name
    monkeypatch.setattr(EmbeddedBroker, "start", fail)
    for _ in range(2):
        notes: list[str] = []
        assert prepare.prepare(notes.append) == fetched
        assert notes[-1] == "later starts take their usual time: kafka ended with code 1"
        assert not list(fetched.start_caches.parent.iterdir())
