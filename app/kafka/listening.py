"""Whether anybody listens at the brokers' addresses: a wrong one need not cost the time of a slow broker."""

import re
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from confluent_kafka import KafkaException

from app.serving.address import HostPort, host_port

FIRST_WORD_SECONDS: Final = 4.0
"""So long a broker has for its first answer before we look whether there is one: a restart of its process is over."""

_CONNECT_SECONDS: Final = 1.0

_LIBRDKAFKA_WORDS: Final = re.compile(
    r"^\S+?/\S+: (?:Connect to \S+ failed: )?|(?<=\S) \(after \d+ms in state \w+.*\)$"
)
"""What librdkafka puts around the system's own words: the address, which our message has, and its own state."""

_Answer = TypeVar("_Answer")


def first_answer(servers: str, seconds: float, ask: Callable[[float], _Answer]) -> _Answer:
    """What a broker answers to `ask`, which gets the seconds that it may take.

    Gives up before `seconds` are over if nobody listens at any of the `servers`. Raises KafkaException.
    """
    first = min(seconds, FIRST_WORD_SECONDS)
    try:
        return ask(first)
    except KafkaException:
        if first >= seconds or not somebody_listens(servers):
            raise
    return ask(seconds - first)


def somebody_listens(servers: str) -> bool:
    """Whether a connection to any of the addresses can be opened, or none of them is one that can be tried."""
    tried = [place for server in servers.split(",") if (place := host_port(server.strip().rpartition("://")[2]))]
    return not tried or any(map(_listens, tried))


def words_of(reason: str) -> str:
    """An error of librdkafka, without the address and the state around it."""
    return _LIBRDKAFKA_WORDS.sub("", reason)


def _listens(place: HostPort) -> bool:
    with suppress(OSError), socket.create_connection((place.host, place.port), timeout=_CONNECT_SECONDS):
        return True
    return False
