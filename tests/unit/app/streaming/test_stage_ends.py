"""How a stage process ends when something in it fails: by a code that says whose fault it is, and no event."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import (
    CommitFailedError,
    KafkaConnectionError,
    KafkaTimeoutError,
    NotLeaderForPartitionError,
    UnknownTopicOrPartitionError,
)
from confluent_kafka import KafkaError, KafkaException

from app.kafka.client import KafkaUnreachableError
from app.processes.process_end import ExitCode
from app.settings import Settings
from app.streaming.delivery import DeliveryFailedError
from app.streaming.stage_app import StageApp, make_app
from app.streaming.stage_process import _end_on_error
from app.symbols.snapshot import SymbolStoreError
from app.symbols.store import open_index
from tests.support.fake_kafka import Ended, fail


def run(scenario: Any) -> None:
    """Run a coroutine to its end."""
    asyncio.run(scenario)


class _Named:
    name = "canonicalize"


@pytest.fixture
def stage_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageApp:
    """App of a stage whose end can be caught."""
    monkeypatch.setattr(StageApp, "fail", staticmethod(fail))
    return make_app(Settings(data_dir=tmp_path), "callstream-canonicalize", index=3, partitions=4)


def _ways_to_end(stage_app: StageApp, error: Exception) -> list[Ended]:
    """How the process ends for an error of an agent, of a service of Faust, and of what runs beside the agents."""
    found = []

    async def of_agent() -> None:
        agent: Any = _Named()
        await stage_app._on_agent_error(agent, error)

    async def beside() -> None:
        task: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task.set_exception(error)
        _end_on_error(stage_app, task)

    async def of_service() -> None:
        stage_app._crash(error)

    for way in (of_agent, of_service, beside):
        with pytest.raises(Ended) as ended:
            run(way())
        found.append(ended.value)
    return found


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KafkaException(KafkaError(KafkaError._TRANSPORT)), ExitCode.UNAVAILABLE),
        (KafkaException(KafkaError(KafkaError._TIMED_OUT)), ExitCode.UNAVAILABLE),
        (KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)), ExitCode.UNAVAILABLE),
        (KafkaException(KafkaError(KafkaError.FENCED_LEADER_EPOCH)), ExitCode.UNAVAILABLE),
        (KafkaConnectionError("secret"), ExitCode.UNAVAILABLE),
        (KafkaTimeoutError("secret"), ExitCode.UNAVAILABLE),
        (NotLeaderForPartitionError("secret"), ExitCode.UNAVAILABLE),
        (KafkaUnreachableError("no broker answers at b:1"), ExitCode.UNAVAILABLE),
        (DeliveryFailedError("runtime.calls[0]: refused"), ExitCode.DELIVERY_FAILED),
        (SymbolStoreError("/store/index is damaged"), ExitCode.FILE_DAMAGED),
    ],
)
def test_whatever_fails_for_want_of_a_server_or_a_file_ends_by_its_code(
    stage_app: StageApp, error: Exception, code: ExitCode
) -> None:
    """Not as a fault of the program, and without a look for records of others, wherever it was raised."""
    stage_app.find_foreign = lambda: "runtime.hot-partials[0] has a record at offset 5"

    for ended in _ways_to_end(stage_app, error):
        assert ended.code is code
        assert "secret" not in ended.reason


@pytest.mark.parametrize(
    "error",
    [
        KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)),
        KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)),
        UnknownTopicOrPartitionError("secret"),
        CommitFailedError("secret"),
    ],
)
def test_a_refusal_of_kafka_is_not_taken_for_its_absence(stage_app: StageApp, error: Exception) -> None:
    """A restart does not help against it, and nobody should wait for that."""
    codes = [ended.code for ended in _ways_to_end(stage_app, error)]

    assert codes == [ExitCode.BROKEN_STEP, ExitCode.FRAMEWORK_CRASHED, ExitCode.FRAMEWORK_CRASHED]


def test_an_agent_that_raises_ends_the_process_without_the_text_of_the_exception(stage_app: StageApp) -> None:
    """Stock Faust commits and goes on with the next event; an exception's text may quote an event."""

    async def scenario() -> None:
        agent: Any = _Named()
        with pytest.raises(ValueError, match="hunter2") as raised:
            int("hunter2")
        with pytest.raises(Ended) as ended:
            await stage_app._on_agent_error(agent, raised.value)
        assert ended.value.code is ExitCode.BROKEN_STEP
        assert "ValueError at test_stage_ends.py" in ended.value.reason
        assert "hunter2" not in ended.value.reason

    run(scenario())


@pytest.mark.parametrize(
    ("error", "code"), [(ValueError("x"), ExitCode.FOREIGN_RECORD), (OSError("x"), ExitCode.BROKEN_STEP)]
)
def test_a_record_of_others_is_looked_for_where_it_may_be_the_reason(
    stage_app: StageApp, error: Exception, code: ExitCode
) -> None:
    """Not where a file or a server failed: a restart should not wait for the search."""
    stage_app.find_foreign = lambda: "runtime.hot-partials[0] has a record at offset 5"

    async def scenario() -> None:
        agent: Any = _Named()
        with pytest.raises(Ended) as ended:
            await stage_app._on_agent_error(agent, error)
        assert ended.value.code is code

    run(scenario())


def test_a_service_that_crashes_ends_the_process(stage_app: StageApp) -> None:
    """A Faust service that dies alone would leave a worker in its group that does nothing."""
    with pytest.raises(Ended) as ended:
        stage_app._crash(RuntimeError("x"))
    assert ended.value.code is ExitCode.FRAMEWORK_CRASHED


def test_a_damaged_file_ends_the_process_by_a_code_of_its_own_with_its_name(
    stage_app: StageApp, tmp_path: Path
) -> None:
    """The file holds nothing of an event, and an operator can repair it."""

    async def scenario() -> None:
        agent: Any = _Named()
        with pytest.raises(SymbolStoreError) as raised:
            open_index(tmp_path / "index", "ab" * 20, "00" * 32)
        with pytest.raises(Ended) as ended:
            await stage_app._on_agent_error(agent, raised.value)
        assert ended.value.code is ExitCode.FILE_DAMAGED
        assert str(tmp_path / "index") in ended.value.reason
        assert "callstream symbols add" in ended.value.reason

    run(scenario())
