"""Which stage process gets which topics, ports and indexes."""

from pathlib import Path

import pytest

from app.processes.supervisor import Supervisor
from app.settings import Settings
from app.stages import worker as module
from app.streaming.stage_process import StageRuntime
from app.topology import PIPELINE, StageShape
from schemas import topics
from schemas.topics import Stage


def _no_attach(_settings: Settings, _shape: StageShape, _symbols: str | None, _omission: object) -> object:
    def attach(_runtime: StageRuntime) -> None:
        raise AssertionError

    return attach


@pytest.mark.parametrize("shape", PIPELINE, ids=lambda shape: shape.stage.value)
def test_a_stage_needs_all_its_topics_and_changelogs_under_their_prefixed_names(
    shape: StageShape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not start before they are there, with one partition count."""
    monkeypatch.setattr(module, "_ATTACHERS", dict.fromkeys(Stage, _no_attach))
    settings = Settings(topic_prefix="p.", data_dir=tmp_path)
    plan = module.stage_plan(settings, shape.stage, index=2, http_port=9_100)
    assert set(plan.topics) == {
        f"p.{name}" for name in (*shape.sources, *shape.outputs, *shape.changelogs, *shape.follows, *shape.told)
    }
    assert len(plan.topics) == len(set(plan.topics))
    assert (plan.index, plan.http_port) == (2, 9_100)
    assert plan.output_topic in {topic.name for topic in topics.TOPICS}


@pytest.mark.parametrize(("port", "expected"), [(9_100, ["9100", "9101", "9102"]), (0, ["0", "0", "0"])])
def test_all_stages_run_side_by_side_on_consecutive_ports(
    port: int, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Port 0 stays 0 for each: every process then picks a free one."""
    added: list[tuple[str, list[str], str]] = []

    class _Recorder(Supervisor):
        def add(self, name: str, command: object, environ: object) -> None:
            assert isinstance(command, list)
            assert isinstance(environ, dict)
            added.append((name, command, environ["CALLSTREAM_HTTP_PORT"]))

        def run(self) -> int:
            return 7

    monkeypatch.setattr(module, "Supervisor", _Recorder)
    assert module.run_all(Settings(http_port=port, data_dir=tmp_path), index=3) == 7
    assert [name for name, _, _ in added] == [stage.value for stage in Stage]
    assert [given for _, _, given in added] == expected
    for name, command, _ in added:
        assert command[-6:] == ["worker", "--stage", name, "--index", "3", "--tied"]
