"""What the page asks for: each address below `api/` with its answer, as a document."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final

from agents.coverage.interval import Interval
from agents.hot_symbols.identity import SymbolIdError, parse_symbol_id
from agents.hot_symbols.table.query import Query
from app.console.call_graphs import GraphWanted, TimeRange, call_graph
from app.console.followed_topics import FollowedTopics
from app.console.gate import QuestionError
from app.console.live_pipeline import LivePipeline
from app.console.node_lanes import MOST_LANES, NodeLanes
from app.console.recent_calls import MOST_RECORDS, CallReading, call_with_id, decoded_calls
from app.console.symbol_shelf import ShelvedRow, SymbolWanted
from app.console.try_out import TryOut, built_in_policies
from app.console.watch_answers import WatchAnswers
from app.console.worker_names import WorkerNames
from app.kafka.positions import First, Last, Moment, PositionError, parse_time
from app.kafka.refused import RefusedRecords
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_reader import TopicReader
from app.nodes.node_windows import read_node_window, window_document, window_lines
from app.operators.program_version import program_version
from app.privacy.workloads import secrets_by_workload
from app.processes.garbage import collect_seldom
from app.settings import Settings
from schemas import topics
from schemas.node import NodeId

MOST_ROWS: Final = 200
"""In one answer."""

MOST_TEXT: Final = 4_096
"""Characters of one parameter: the longest symbol."""

_GRAPH_SECONDS: Final = 10.0
"""That a question for a flame graph waits for another one."""

Asked = Mapping[str, str]
"""The parameters of a question."""


class ConsoleAnswers:
    """Answers questions from any thread; some of them block on Kafka for seconds (`SLOW`)."""

    def __init__(
        self,
        settings: Settings,
        topics_followed: FollowedTopics,
        names: WorkerNames,
        try_out: TryOut,
        shown_name: Callable[[str], str],
    ) -> None:
        self._settings = settings
        self._followed = topics_followed
        self._names = names
        self._pipeline = LivePipeline(settings)
        self._lanes = NodeLanes()
        self._watch_answers: tuple[int, WatchAnswers | None] = -1, None
        self._shown_name = shown_name
        self._graph_places = threading.Semaphore(1)  # each takes memory of its own
        self.try_out = try_out
        self.quick: Mapping[str, Callable[[Asked], Any]] = {
            "about": self._about,
            "pipeline": self._look,
            "nodes": self._nodes,
            "probes": self._probes,
            "symbols": self._symbols,
            "watches": self._watches,
            "watch": self._watch,
            "vulnerabilities": self._vulnerabilities,
            "letters": self._letters,
            "policies": lambda _asked: {"policies": built_in_policies()},
        }
        """By name: what is answered out of memory."""
        self.slow: Mapping[str, Callable[[Asked], Any]] = {
            "window": self._window,
            "symbol": self._symbol,
            "names": self._other_names,
            "flames": self._flames,
            "event": self._event,
            "workloads": self._workloads,
        }
        """By name: what is read from Kafka, or asked of workers."""

    def prepare(self) -> None:
        """Make ready what whoever opens a first view would wait for."""
        self._nodes({"from": "24h"})
        self._answers()
        collect_seldom()  # a look for cycles among all rows would hold a search up

    def _about(self, _asked: Asked) -> dict[str, Any]:
        followed = self._followed
        refused = [
            {"topic": topic, "reason": fault.value, "records": count}
            for (topic, fault), count in followed.refused.counts().items()
        ]
        return {
            "version": str(program_version()),
            "topic_prefix": self._settings.topic_prefix,
            "is_read": followed.is_read,
            "trouble": followed.trouble,
            "symbols": len(followed.symbols),
            "nodes": len(followed.fleet.nodes()),
            "left_out": followed.symbols.left_out,
            "refused": refused,
        }

    def _look(self, _asked: Asked) -> dict[str, Any]:
        return self._pipeline.look()

    def _nodes(self, asked: Asked) -> dict[str, Any]:
        window = _window_of(asked, "7d")
        first, count = _number(asked, "first", 0), _number(asked, "count", 50, MOST_LANES)
        return self._lanes.look(self._followed.fleet.nodes(), window, asked.get("find", ""), first, count)

    def _probes(self, asked: Asked) -> dict[str, Any]:
        return self._followed.probes.policies(_window_of(asked, "7d").from_ns, asked.get("find", ""))

    def _window(self, asked: Asked) -> dict[str, Any]:
        node = NodeId(asked.get("cluster", ""), _needed(asked, "node")).within_limits()
        refused = RefusedRecords()
        window = read_node_window(self._settings, node, _window_of(asked, "1h"), refused)
        verdict = window.judge()
        document = window_document(window, verdict) | refused.document()
        return document | {"lines": list(window_lines(window, verdict))}

    def _symbols(self, asked: Asked) -> dict[str, Any]:
        wanted = SymbolWanted(
            text=asked.get("text", ""),
            file=asked.get("file", ""),
            build_id=asked.get("build_id", ""),
            image=asked.get("image", ""),
            namespace=asked.get("namespace", ""),
        )
        found = self._followed.symbols.find(wanted, _number(asked, "count", 50, MOST_ROWS))
        return {
            "rows": [row.document() for row in found.rows],
            "found": found.found,
            "of": found.of,
            "is_read": self._followed.is_read,
        }

    def _symbol(self, asked: Asked) -> dict[str, Any]:
        symbol_id = _needed(asked, "id")
        shelved = self._shelved(symbol_id)
        row = self._row(shelved)
        callers = [{**one, "shown_name": self._shown_id(one["symbol_id"])} for one in row["callers"]]
        return {"row": row | {"callers": callers}, "shown_name": self._shown_name(row["symbol"])}

    def _shelved(self, symbol_id: str) -> ShelvedRow:
        found = self._followed.symbols.get(symbol_id)
        if found is None:
            still = "" if self._followed.is_read else "; the rows are still being read"
            raise QuestionError(HTTPStatus.NOT_FOUND, f"no row has this id: rows without hits expire{still}")
        return found

    def _row(self, shelved: ShelvedRow) -> dict[str, Any]:
        """The whole row, from where it lies."""
        name = self._settings.name(topics.HOT_SYMBOLS)
        with SchemaRegistry.from_settings(self._settings) as registry, TopicReader(self._settings) as reader:
            decoder = RecordDecoder(self._settings, registry, topics.HOT_SYMBOLS)
            for found in reader.read(name, shelved.partition, shelved.offset, shelved.offset):
                for record in found:
                    row = decoder.decode(record.value)
                    if record.offset == shelved.offset and not isinstance(row, RecordFault):
                        return row
        raise QuestionError(HTTPStatus.SERVICE_UNAVAILABLE, "the row was written again just now; ask once more")

    def _other_names(self, asked: Asked) -> dict[str, Any]:
        rows = self._names.rows(_needed(asked, "symbol"), _number(asked, "count", 20, MOST_ROWS))
        return {"rows": [{**row, "shown_name": self._shown_name(row["symbol"])} for row in rows]}

    def _flames(self, asked: Asked) -> dict[str, Any]:
        is_compared = bool(asked.get("base_from") or asked.get("base_to"))
        wanted = GraphWanted(
            window=TimeRange(First(), Last()) if "symbol" in asked else _range_of(asked, ""),
            base=_range_of(asked, "base_") if is_compared else None,
            place=Query(namespace=asked.get("namespace"), image=asked.get("image")),
            symbol_id=asked.get("symbol", ""),
        )
        if not self._graph_places.acquire(timeout=_GRAPH_SECONDS):
            raise QuestionError(HTTPStatus.TOO_MANY_REQUESTS, "others draw flame graphs now; try again in a moment")
        try:
            return call_graph(self._settings, wanted, self._shown_name)
        finally:
            self._graph_places.release()

    def _shown_id(self, symbol_id: str) -> str:
        try:
            symbol = parse_symbol_id(symbol_id).symbol
        except SymbolIdError:  # whoever may write the topic may write anything
            return symbol_id
        return self._shown_name(symbol) if symbol else symbol_id

    def _event(self, asked: Asked) -> dict[str, Any]:
        return call_with_id(self._settings, _needed(asked, "id").strip().lower())

    def _watches(self, asked: Asked) -> dict[str, Any]:
        first, count = _number(asked, "first", 0), _number(asked, "count", 100, MOST_ROWS)
        return self._answers().listed(asked.get("find", ""), asked.get("answer", ""), first, count)

    def _watch(self, asked: Asked) -> dict[str, Any]:
        found = self._answers().one(_needed(asked, "id"))
        if found is None:
            raise QuestionError(HTTPStatus.NOT_FOUND, "no watch has this id; it may have been removed")
        return found

    def _vulnerabilities(self, asked: Asked) -> dict[str, Any]:
        rows = self._answers().vulnerabilities(asked.get("find", ""))
        return {"vulnerabilities": len(rows), "rows": rows[:MOST_ROWS]}

    def _answers(self) -> WatchAnswers:
        changes, known = self._watch_answers
        if known is None or changes != self._followed.changes:
            changes = self._followed.changes
            known = WatchAnswers(self._followed.watches(), self._followed.answers())
            self._watch_answers = changes, known
        return known

    def _letters(self, _asked: Asked) -> dict[str, Any]:
        groups = self._followed.letter_groups()
        return {
            "kinds": [
                {**kind._asdict(), **asdict(group), "open": group.open, "positions": positions}
                for kind, group, positions in groups
            ],
            "letters": sum(group.letters for _, group, _ in groups),
            "left_out": self._followed.letters_left_out,
        }

    def _workloads(self, _asked: Asked) -> dict[str, Any]:
        reading = CallReading()
        newest = decoded_calls(self._settings, reading, most=MOST_RECORDS // 8)  # all of them are decoded
        found = secrets_by_workload(call for _, call in newest)
        return {"rows": [asdict(one) for one in found[:MOST_ROWS]], "found": len(found), "read": reading.document()}


def question_of(body: bytes) -> Any:
    """The document that was sent. Raises QuestionError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise QuestionError(HTTPStatus.BAD_REQUEST, "what was sent is not JSON") from None


def checked(asked: Asked) -> Asked:
    """The parameters, if each is short enough. Raises QuestionError."""
    for name, value in asked.items():
        if len(value) > MOST_TEXT:
            raise QuestionError(HTTPStatus.REQUEST_URI_TOO_LONG, f"{name} has more than {MOST_TEXT:,} characters")
    return asked


def _needed(asked: Asked, name: str) -> str:
    value = asked.get(name, "")
    if not value:
        raise QuestionError(HTTPStatus.BAD_REQUEST, f"name the {name}")
    return value


def _number(asked: Asked, name: str, default: int, most: int = 1_000_000) -> int:
    text = asked.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdecimal() or not 0 <= int(text[:9]) <= most:
        raise QuestionError(HTTPStatus.BAD_REQUEST, f"{name} is not a number from 0 to {most:,}")
    return int(text[:9])


def _range_of(asked: Asked, prefix: str) -> TimeRange:
    window = _window_of(asked, "1h", prefix)
    return TimeRange(Moment(window.from_ns), Moment(window.to_ns))


def _window_of(asked: Asked, default: str, prefix: str = "") -> Interval:
    now_ns = time.time_ns()
    try:
        from_ns = parse_time(asked.get(f"{prefix}from") or default, now_ns)
        to_ns = parse_time(asked.get(f"{prefix}to") or "now", now_ns)
    except PositionError as error:
        raise QuestionError(HTTPStatus.BAD_REQUEST, str(error)) from None
    if to_ns <= from_ns:
        raise QuestionError(HTTPStatus.BAD_REQUEST, "the window is empty: its end must be after its beginning")
    return Interval(from_ns, to_ns)
