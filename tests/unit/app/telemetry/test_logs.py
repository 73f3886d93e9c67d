import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.telemetry import logs
from app.telemetry.logs import EventNote

SECRET = "hunter" + "2-payload"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    hooks = sys.excepthook, threading.excepthook
    yield
    logging.root.handlers[:], logging.root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
    logging.raiseExceptions = True


def _configured(log_format: str = "json", level: str = "INFO") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(log_format, level, stream)
    return stream


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_event_line_carries_the_four_names() -> None:
    """eventId, probeType, containerId and processName stand beside the message."""
    stream = _configured()

    logging.getLogger("app.x").info("refused", extra={"event": EventNote("ab" * 16, "Kprobe", "c1", "curl")})

    (line,) = _lines(stream)
    assert line["message"] == "refused"
    assert (line["eventId"], line["probeType"], line["containerId"], line["processName"]) == (
        "ab" * 16, "Kprobe", "c1", "curl",
    )  # fmt: skip


def test_process_name_is_left_out_before_the_filter() -> None:
    """A note made without a filtered binary says null, which readers can tell from an empty name."""
    stream = _configured()

    logging.getLogger("app.x").info("seen", extra={"event": EventNote("ab" * 16, "Kprobe")})

    assert _lines(stream)[0]["processName"] is None


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_exception_on_data_shows_no_text(log_format: str) -> None:
    """A KeyError's text is the key, which may come from an event; class and place are enough to find it."""
    stream = _configured(log_format)
    mapping: dict[str, int] = {}

    try:
        mapping[SECRET]
    except KeyError:
        logging.getLogger("app.x").exception("cannot look up")

    assert "KeyError" in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()
    assert SECRET not in stream.getvalue()


def test_error_of_the_operating_system_keeps_its_text() -> None:
    """What the machine says about files and sockets is what the operator needs."""
    assert logs.describe_error(ConnectionRefusedError(111, "Connection refused")) == (
        "ConnectionRefusedError: [Errno 111] Connection refused"
    )


def test_cause_is_named_without_its_text() -> None:
    """The chain shows where an error came from, and drops what a data error would quote."""
    error = OSError("outer")
    error.__cause__ = ValueError(SECRET)

    assert logs.describe_error(error) == "OSError: outer <- ValueError"


def test_foreign_logger_cannot_print_text_arguments() -> None:
    """A framework that logs the value it failed on shows the template and numbers only."""
    stream = _configured()

    logging.getLogger("faust.agents.agent").error("agent failed on %r after %d tries", SECRET, 3)

    assert _lines(stream)[0]["message"] == "agent failed on '<str>' after 3 tries"


def test_foreign_logger_with_named_arguments_is_limited_too() -> None:
    """The dict form of arguments is no way around."""
    stream = _configured()

    logging.getLogger("mode").error("got %(value)s", {"value": SECRET})

    assert SECRET not in stream.getvalue()


def test_kafka_client_messages_are_readable() -> None:
    """Topic and node names in the Kafka client's warnings are not event data."""
    stream = _configured()

    logging.getLogger("aiokafka.cluster").warning("Topic %s not found", "tetragon.raw")

    assert _lines(stream)[0]["message"] == "Topic tetragon.raw not found"


@pytest.mark.parametrize(
    ("logger", "level", "shown"),
    [
        ("aiokafka.consumer.fetcher", logging.ERROR, "WARNING"),
        ("app.ingest.writer.librdkafka", logging.ERROR, "WARNING"),
        ("aiokafka", logging.CRITICAL, "CRITICAL"),
        ("app.ingest.writer", logging.ERROR, "ERROR"),
    ],
)
def test_an_error_of_a_kafka_client_is_a_warning(logger: str, level: int, shown: str) -> None:
    """It tries again; who looks for errors finds those that say what is wrong and what to do."""
    stream = _configured()
    logging.getLogger(logger).log(level, "no broker")
    assert _lines(stream)[0]["level"] == shown


def test_kafka_client_stays_at_warning() -> None:
    """At DEBUG aiokafka prints requests with their records, so it stays at WARNING whatever the operator sets."""
    stream = _configured(level="DEBUG")

    logging.getLogger("aiokafka.conn").debug("request %s", SECRET)

    assert stream.getvalue() == ""


def test_uncaught_exception_is_logged_without_text() -> None:
    """The last words of a process pass the same filter."""
    stream = _configured()

    sys.excepthook(ValueError, ValueError(SECRET), None)

    (line,) = _lines(stream)
    assert (line["level"], line["error"]) == ("CRITICAL", "ValueError")


def test_uncaught_exception_in_a_thread_is_logged_without_text() -> None:
    """A thread's death names the thread and the class."""
    stream = _configured()

    def fail() -> None:
        raise ValueError(SECRET)

    thread = threading.Thread(target=fail, name="reader")
    thread.start()
    thread.join()

    (line,) = _lines(stream)
    assert (line["message"], line["error"]) == ("thread reader ended on an unexpected error", "ValueError")


def test_wrong_arguments_do_not_print_them() -> None:
    """A log call that cannot be formatted is not answered with a dump of its arguments."""
    stream = _configured()

    logging.getLogger("faust").error("%d", SECRET)

    assert SECRET not in stream.getvalue()


def test_long_message_is_cut() -> None:
    """One line cannot fill the disk."""
    stream = _configured()

    logging.getLogger("app.x").warning("%s", "a" * 100_000)

    assert len(stream.getvalue()) < 3000


def test_text_format_is_one_line_with_facts() -> None:
    """A person reads level, message and name=value pairs on one line."""
    stream = _configured("text")

    logging.getLogger("app.x").info("stream\nopen", extra={"facts": {"address": "unix:///a"}})

    (line,) = stream.getvalue().splitlines()
    assert line.endswith("INFO app.x stream\\nopen address=unix:///a")


HOSTILE = "n\x1b[31m\x9b\r\nforged\u202e\u200b\u2028\udc9b"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_value_of_a_line_reaches_the_terminal_raw(log_format: str) -> None:
    """Message, facts, the event's fields and the text of an error: none can forge a line or change the terminal."""
    stream = _configured(log_format)
    note = EventNote(HOSTILE, HOSTILE, HOSTILE, HOSTILE)

    extra = {"event": note, "facts": {"node": HOSTILE, HOSTILE: 1}}
    logging.getLogger("app.x").error("of %s", HOSTILE, extra=extra, exc_info=OSError(HOSTILE))

    lines = stream.getvalue().split("\n")
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("forged") for line in lines)
    if log_format == "json":
        assert json.loads(lines[0])["node"] == HOSTILE
