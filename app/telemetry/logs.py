"""Log lines on standard error, as JSON or text, that cannot carry a payload.

A line about one event carries an `EventNote` (eventId, probeType, containerId, processName), and nothing else of the
event. `processName` is the base name of a binary that the privacy filter let through. Before the filter it is left
out, because a path or a renamed binary may hold a private value.

An exception is shown as class and place. Its text is shown only where the class speaks about machinery (ours, the
operating system's, the Kafka client's), because `KeyError: 'hunter2'` is data. Lines of other libraries are treated
alike: arguments that are text are shown only for loggers that speak about brokers and partitions.
"""

import json
import logging
import sys
import threading
import traceback
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, TextIO

from app.operators.escaping import escaped
from app.operators.json_text import with_times
from app.operators.times import time_text
from app.telemetry.log_outlet import LogOutlet

_OURS: Final = ("app", "agents", "schemas", "callstream")
_TRUSTED_LOGGERS: Final = ("aiokafka", "kafka", "confluent_kafka")
"""Loggers whose text arguments name topics, partitions, nodes and groups; see `_LEVELS`."""

_TRUSTED_ERRORS: Final = ("OSError", "KafkaException", "KafkaError")
"""Base classes, by name so that nothing is imported for them, whose text is about machinery."""

_LEVELS: Final = {
    "aiokafka": logging.WARNING,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "asyncio": logging.WARNING,
    "urllib3": logging.ERROR,  # warns of every repeated attempt; the caller reports what comes of the last one
}
"""Least severity of talkative loggers at any level of the operator: aiokafka at DEBUG would print record content."""

_MAX_TEXT: Final = 2000
"""Longest message in characters: a line stays readable, and a runaway text cannot fill the disk."""


@dataclass(frozen=True, slots=True)
class EventNote:
    """What a log line may say about one event. Pass it as `extra={"event": note}`."""

    event_id: str | None
    """None for an event that could not be read so far."""
    probe_type: str | None
    container_id: str | None = None
    process_name: str | None = None
    """Base name of the filtered binary; None before the privacy filter."""

    def as_fields(self) -> dict[str, str | None]:
        """Names as log readers expect them."""
        return {
            "eventId": self.event_id,
            "probeType": self.probe_type,
            "containerId": self.container_id,
            "processName": self.process_name,
        }


def configure(log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Send every logger of the process to `stream` (standard error), and uncaught exceptions with them.

    `log_format` is "json" or "text", `level` a name of the logging module. May be called again; the last call counts.
    """
    handler = LogOutlet(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level)
    for name, least in _LEVELS.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelName(level)))
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # a formatting error would print the arguments
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def describe_error(error: BaseException) -> str:
    """Class of an exception, with its text where that cannot hold event data; the causes follow."""
    parts = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        name = type(link).__name__
        parts.append(f"{name}: {link}" if _speaks_of_machinery(link) else name)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return " <- ".join(parts)


def _speaks_of_machinery(error: BaseException) -> bool:
    return any(
        base.__name__ in _TRUSTED_ERRORS or (base.__module__.startswith("app.") and issubclass(base, Exception))
        for base in type(error).__mro__
    )


def _message(record: logging.LogRecord) -> str:
    """The interpolated message for our loggers and trusted ones, else the template with its harmless arguments."""
    top = record.name.partition(".")[0]
    if top in _OURS or top in _TRUSTED_LOGGERS or top == "__main__":
        text = record.getMessage()
    else:
        text = _with_harmless_arguments(record)
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"


def _with_harmless_arguments(record: logging.LogRecord) -> str:
    template = str(record.msg) if isinstance(record.msg, str) else type(record.msg).__name__
    arguments: Any = record.args
    if not arguments:
        return template
    if isinstance(arguments, dict):
        shown: Any = {name: _harmless(value) for name, value in arguments.items()}
    else:
        shown = tuple(_harmless(value) for value in arguments)
    try:
        return str(template % shown)
    except (TypeError, ValueError):
        return template


def _harmless(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return f"<{type(value).__name__}>"


def _place(trace: TracebackType | None) -> list[str]:
    """Innermost eight frames as file:line:function; no source lines and no values."""
    frames = traceback.extract_tb(trace)[-8:]
    return [f"{frame.filename}:{frame.lineno}:{frame.name}" for frame in frames]


def _level(record: logging.LogRecord) -> str:
    """A Kafka client's error is a warning: it tries again, and lines of ours say what a lasting one breaks."""
    is_clients = record.name.partition(".")[0] in _TRUSTED_LOGGERS or record.name.endswith(".librdkafka")
    return "WARNING" if is_clients and record.levelno == logging.ERROR else record.levelname


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    line: dict[str, Any] = {
        "time": time_text(round(record.created * 1e6) * 1_000, 3),
        "level": _level(record),
        "logger": record.name,
        "message": _message(record),
    }
    note = getattr(record, "event", None)
    if isinstance(note, EventNote):
        line |= note.as_fields()
    facts = getattr(record, "facts", None)
    if isinstance(facts, dict):
        line |= {name: value for name, value in facts.items() if name not in line}
    if record.exc_info and record.exc_info[1] is not None:
        line["error"] = describe_error(record.exc_info[1])
        line["trace"] = _place(record.exc_info[2])
    return line


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return escaped(
            json.dumps(with_times(_fields(record)), ensure_ascii=False, default=lambda value: type(value).__name__)
        )


class _TextFormatter(logging.Formatter):
    """The same fields for a person: time, level, logger, message, then name=value."""

    def format(self, record: logging.LogRecord) -> str:
        line = _fields(record)
        head = " ".join(str(line.pop(name)) for name in ("time", "level", "logger", "message"))
        trace = line.pop("trace", [])
        rest = "".join(f" {name}={value}" for name, value in line.items() if value is not None)
        return "\n    ".join(map(escaped, [head + rest, *trace]))


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("app").critical("the process ends on an unexpected error", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None and not issubclass(arguments.exc_type, SystemExit):
        name = arguments.thread.name if arguments.thread else "?"
        details = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
        logging.getLogger("app").critical("thread %s ended on an unexpected error", name, exc_info=details)
