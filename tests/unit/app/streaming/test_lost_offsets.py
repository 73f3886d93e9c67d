"""A group without offsets whose stage has published before had offsets, and that is said."""

from collections.abc import Iterable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from app.kafka.records import Partition
from app.streaming.lost_offsets import look_for_lost_offsets


def _look(ends: Any) -> list[int]:
    counted: list[int] = []
    asked = [("raw", 0), ("raw", 1), ("raw", 2), ("coverage", 3)]
    look_for_lost_offsets("raw", "canonical", ends, counted.append, asked)
    return counted


def test_partitions_with_results_had_offsets(caplog: pytest.LogCaptureFixture) -> None:
    """Those without results are new ones; other sources of a stage have no results of their own."""

    def ends(asked: Iterable[Partition]) -> dict[Partition, int]:
        assert list(asked) == [("canonical", 0), ("canonical", 1), ("canonical", 2)]
        return {("canonical", 0): 7, ("canonical", 1): 0, ("canonical", 2): 1}

    assert _look(ends) == [2]
    assert "offsets of raw are gone" in caplog.text


def test_a_new_group_has_lost_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """As at the first start of a deployment."""
    assert _look(lambda asked: dict.fromkeys(asked, 0)) == []
    assert not caplog.records


def test_a_broker_that_does_not_answer_keeps_no_stage_from_work() -> None:
    """Its start goes on."""

    def ends(_asked: Iterable[Partition]) -> dict[Partition, int]:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    assert _look(ends) == []
