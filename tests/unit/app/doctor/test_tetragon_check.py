"""app/doctor/tetragon_check.py: what filters do to the evidence, told before anybody relies on it."""

from typing import Any

import pytest

from app.doctor.findings import CheckVerdict
from app.doctor.tetragon_check import check_tetragon
from app.settings import Settings


def _warnings(**settings: Any) -> str:
    asked = Settings(tetragon_address="127.0.0.1:9", **settings)
    return "\n".join(one.what for one in check_tetragon(asked) if one.verdict is CheckVerdict.WARN)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tetragon_deny_list": '{"namespace": ["shop"]}'}, "filters hide events"),
        ({"tetragon_allow_list": '{"event_set": ["PROCESS_KPROBE"]}'}, "filters hide events"),
        (
            {"tetragon_field_filters": '{"fields": "process.binary,process.pid", "action": "INCLUDE"}'},
            "leaves out process.exec_id",
        ),
        (
            {
                "tetragon_field_filters": '{"event_set": ["PROCESS_KPROBE"], "action": "INCLUDE",'
                ' "fields": "process.exec_id,function_name"}'
            },
            "leaves out return: a return probe is counted as Kprobe",
        ),
    ],
)
def test_filter_that_costs_evidence_is_a_warning(settings: dict[str, str], said: str) -> None:
    """Whether or not the agent answers."""
    assert said in _warnings(**settings)


def test_filter_that_costs_none_is_no_warning() -> None:
    """Exec events are not evidence of a call."""
    assert "filter" not in _warnings(tetragon_deny_list='{"event_set": ["PROCESS_EXEC"]}')
