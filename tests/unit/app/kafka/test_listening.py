"""How long a command waits for a broker: shortly where nobody listens, and as long as it may where somebody does."""

import socket

import pytest
from confluent_kafka import KafkaError, KafkaException

from app.kafka.listening import FIRST_WORD_SECONDS, first_answer, somebody_listens, words_of


class _Silent:
    """Answers nothing, and keeps how long it was given."""

    def __init__(self) -> None:
        self.given: list[float] = []

    def ask(self, seconds: float) -> str:
        self.given.append(seconds)
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_where_nobody_listens_it_gives_up_early() -> None:
    """A wrong port costs a few seconds, not those that a slow broker may have."""
    silent = _Silent()
    with pytest.raises(KafkaException):
        first_answer(f"127.0.0.1:{_closed_port()}, no-such-host.invalid:9092", 15.0, silent.ask)
    assert silent.given == [FIRST_WORD_SECONDS]


def test_where_somebody_listens_it_waits_as_long_as_it_may() -> None:
    """One of several brokers is enough, and an address that cannot be tried is not held against it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        servers = f"127.0.0.1:{_closed_port()},127.0.0.1:{listener.getsockname()[1]}"
        assert somebody_listens(servers)
        silent = _Silent()
        with pytest.raises(KafkaException):
            first_answer(servers, 15.0, silent.ask)
    assert silent.given == [FIRST_WORD_SECONDS, 15.0 - FIRST_WORD_SECONDS]
    assert somebody_listens("no address")


def test_a_short_question_is_asked_once() -> None:
    """Nothing is left of its time."""
    silent = _Silent()
    with pytest.raises(KafkaException):
        first_answer("127.0.0.1:1", 1.0, silent.ask)
    assert silent.given == [1.0]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "[::1]:1/bootstrap: Connect to ipv6#[::1]:1 failed: Connection refused (after 0ms in state CONNECT)",
            "Connection refused",
        ),
        (
            "x.invalid:9092/1: Failed to resolve 'x.invalid:9092': Name or service not known (after 3ms in state INIT)",
            "Failed to resolve 'x.invalid:9092': Name or service not known",
        ),
        ("Local: Broker transport failure", "Local: Broker transport failure"),
    ],
)
def test_the_address_is_said_once(said: str, words: str) -> None:
    """Our own message has it already."""
    assert words_of(said) == words
