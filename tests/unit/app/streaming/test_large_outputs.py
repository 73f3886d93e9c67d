"""An output that its topic does not take becomes a dead letter of its source, and costs nothing else."""

from agents.contract import OutRecord, StepResult
from agents.dead_letters import dead_letter
from app.kafka.topic_limits import FRAMING_BYTES
from app.streaming.large_outputs import REASON, refuse_large
from schemas.topics import Stage
from tests.support.fake_kafka import record

LIMIT = FRAMING_BYTES + 10


def _result(*sizes: int, raw_offsets: list[int]) -> StepResult:
    return StepResult(outputs=[OutRecord(b"", b"v" * size, 0) for size in sizes], raw_offsets=raw_offsets)


def test_a_large_call_is_refused_under_its_canonical_and_its_raw_position() -> None:
    """Also where a record before it was refused by the step."""
    records = [record(offset) for offset in range(4)]
    result = _result(10, 11, 3, raw_offsets=[70, 72, 73])
    result.dead_letters.append(dead_letter(records[1], Stage.PRIVACY, "another_reason", raw_offset=71))
    refuse_large(Stage.PRIVACY, LIMIT, records, result)

    assert [len(one.value or b"") for one in result.outputs] == [10, 3]
    assert result.raw_offsets == [70, 73]
    assert [(one.offset, one.raw_offset, one.reason) for one in result.dead_letters] == [
        (1, 71, "another_reason"),
        (2, 72, REASON),
    ]


def test_a_large_canonical_event_is_found_by_its_raw_offset() -> None:
    """Where loader events among the records rightly produce nothing."""
    records = [record(offset) for offset in range(5)]
    result = _result(3, 11, raw_offsets=[1, 4])
    result.skipped["Loader"] = 3
    refuse_large(Stage.CANONICALIZE, LIMIT, records, result)

    assert [(one.offset, one.raw_offset, one.stage) for one in result.dead_letters] == [(4, 4, "canonicalize")]
    assert result.raw_offsets == [1]


def test_outputs_that_fit_are_left_alone() -> None:
    """To the last byte."""
    result = _result(10, raw_offsets=[0])
    refuse_large(Stage.PRIVACY, LIMIT, [record(0)], result)
    assert (len(result.outputs), result.dead_letters) == (1, [])
