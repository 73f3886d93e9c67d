"""How long an end of a log is looked for while a broker is away or not leader yet."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from app.kafka import log_ends as module
from app.kafka.log_ends import log_ends

AWAY = KafkaException(KafkaError(KafkaError._TRANSPORT))
PLACE = ("topic", 0)


class RestartedBroker:
    """An admin client whose broker refuses the first question, and then is away for some more."""

    def __init__(self, away: int) -> None:
        self.refusals, self.away, self.questions = 1, away, 0

    def list_topics(self, timeout: float) -> None:
        """The metadata: one question to a broker that may be away."""
        del timeout
        self.questions += 1
        if self.away:
            self.away -= 1
            raise AWAY

    def list_offsets(self, places: dict[Any, Any], **_options: object) -> dict[Any, Future[Any]]:
        """The ends; the first question is refused."""
        found = {}
        for place in places:
            found[place] = answer = Future[Any]()
            if self.refusals:
                self.refusals -= 1
                answer.set_exception(KafkaException(KafkaError(KafkaError.FENCED_LEADER_EPOCH)))
            else:
                answer.set_result(SimpleNamespace(offset=7))
        return found


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that passes by pauses, and a little by each look at it."""
    now = [0.0]

    def pass_by(seconds: float) -> float:
        now[0] += seconds
        return now[0]

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: pass_by(0.001), sleep=pass_by))


def test_a_broker_that_goes_while_it_is_asked_is_waited_for() -> None:
    """Its metadata are asked for again, too, for as long as the caller has patience."""
    broker: Any = RestartedBroker(away=10)

    assert log_ends(broker, [PLACE], patience_seconds=15.0) == {PLACE: 7}
    assert broker.questions == 11


def test_the_patience_ends() -> None:
    """With the client's own error."""
    broker: Any = RestartedBroker(away=1_000)

    with pytest.raises(KafkaException):
        log_ends(broker, [PLACE], patience_seconds=3.0)
    assert 10 < broker.questions < 20


def test_without_patience_a_refused_question_is_asked_once_more() -> None:
    """After the metadata was read, as the client needs it."""
    broker: Any = RestartedBroker(away=0)

    assert log_ends(broker, [PLACE], patience_seconds=0.0) == {PLACE: 7}
    away: Any = RestartedBroker(away=1)
    with pytest.raises(KafkaException):
        log_ends(away, [PLACE], patience_seconds=0.0)
