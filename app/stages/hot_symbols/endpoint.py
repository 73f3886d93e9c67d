"""`/hot-symbols` over HTTP: questions about the table, answered by the workers that own its partitions.

    GET /hot-symbols?top=20&symbol=SSL_*&module=libssl.so.3&namespace=prod&image=shop/*&since=14d
    GET /hot-symbols?watched=true&symbol=SSL_read

It listens on a port of its own, see `app/stages/hot_symbols/query_port.py`. The options are those of `callstream
hot-symbols`, and rows come as its --json prints them, in one document: `{"rows": [...]}`. Any worker answers; it looks
through its own partitions and queries the owners of the others. For a symbol id it queries the owner only. A symbol
that is named in full finds the rows under any name of that function, where the worker has a symbol store. An answer is
complete, or it is an error that names what is missing, because a symbol that is left out would read as never executed.
The endpoint only reads, and looks through the table once at a time.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from agents.hot_symbols.partitioning import symbol_partition
from agents.hot_symbols.table.query import Query, top
from agents.hot_symbols.watch.files import KnownFiles
from app.kafka.positions import PositionError, parse_time
from app.serving.request import HttpAnswer
from app.stages.hot_symbols.advertising import Owner
from app.stages.hot_symbols.ownership import Ownership
from app.stages.hot_symbols.peers import PeerError, Peers
from app.stages.hot_symbols.table_scan import PartitionGoneError, rows_while, top_rows
from app.streaming.table import StrictTable

PATH: Final = "/hot-symbols"

MAX_ROWS: Final = 1_000
"""Rows in one answer, of some 3 kB."""

QUESTION_SECONDS: Final = 30.0
"""For a whole answer."""

ASK_SECONDS: Final = 20.0
"""For another worker's answer: a million rows take some seconds."""

MAX_QUERY_BYTES: Final = 8 << 10
"""Of a query without its partitions: the longest symbol has 4,096 characters."""

PARTITIONS_AT_ONCE: Final = 200
"""Partitions in one query to another worker, so that it stays within what one may send."""

ATTEMPTS: Final = 3
ATTEMPT_PAUSE_SECONDS: Final = 1.0
"""Partitions move; who owns one is known a second later."""

_TEXTS: Final = ("symbol", "module", "namespace", "image")
_NAMES: Final = frozenset({*_TEXTS, "top", "since", "watched", "partition"})
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_WORDS: Final = {"true": True, "1": True, "false": False, "0": False}


class QuestionRefusedError(Exception):
    """The question cannot be answered: a status and a sentence."""

    def __init__(self, status: HTTPStatus, problem: str) -> None:
        super().__init__(problem)
        self.status = status


class Endpoint:
    """Answers for one worker. Called from the threads of requests."""

    def __init__(
        self,
        table: StrictTable,
        ownership: Ownership,
        peers: Peers,
        partitions: int,
        answers: Callable[[], list[dict[str, Any]] | None],
        *,
        files: Callable[[], KnownFiles | None] = lambda: None,
        mark: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = list,
    ) -> None:
        """`answers` gives the answers to all watches, or None while they are not known; `files` those of the store.

        `mark` says in each row whether its hits may be counted twice.
        """
        self._table = table
        self._ownership = ownership
        self._peers = peers
        self._partitions = partitions
        self._answers = answers
        self._files = files
        self._mark = mark
        self._one_look = threading.Lock()

    def __call__(self, query_string: str) -> HttpAnswer:
        """The answer to a request, within some QUESTION_SECONDS."""
        deadline = time.monotonic() + QUESTION_SECONDS
        try:
            asked = _parameters(query_string)
            count = _count(asked)
            files = self._files()
            query = _query(asked)
            query = query.by_any_name(None) if files is None else query.by_any_name(files.names, files.names_before)
            if _WORDS.get(asked.get("watched", ["false"])[0], False):
                rows = self._watched(query, count)
            elif "partition" in asked:
                rows = self._own(query, count, self._named(asked["partition"]), deadline)
            else:
                rows = self._mark(self._everywhere(asked, query, count, deadline))
        except QuestionRefusedError as refused:
            return HttpAnswer(refused.status, {"error": str(refused)})
        return HttpAnswer(HTTPStatus.OK, {"rows": rows})

    def _watched(self, query: Query, count: int) -> list[dict[str, Any]]:
        answers = self._answers()
        if answers is None:
            raise QuestionRefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the answers to watches are still being read")
        return list(filter(query.matches_answer, answers))[:count]

    def _named(self, numbers: list[str]) -> set[int]:
        if not all(_NUMBER.fullmatch(number) and int(number) < self._partitions for number in numbers):
            raise QuestionRefusedError(HTTPStatus.BAD_REQUEST, f"partition is not a number below {self._partitions}")
        return {int(number) for number in numbers}

    def _own(self, query: Query, count: int, wanted: set[int], deadline: float) -> list[dict[str, Any]]:
        """Rows of partitions that must be ours."""

        def owned() -> frozenset[int]:
            _left(deadline)
            return self._ownership.mine()

        if not self._one_look.acquire(timeout=min(_left(deadline), ASK_SECONDS / 2)):
            raise QuestionRefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "another question is still being answered")
        try:
            rows = [
                row
                for partition in sorted(wanted)
                for row in top_rows(rows_while(owned, self._table, partition), query, count)
            ]
        except PartitionGoneError as gone:
            text = f"partition {gone.args[0]} is not answered for by this worker"
            raise QuestionRefusedError(HTTPStatus.MISDIRECTED_REQUEST, text) from None
        finally:
            self._one_look.release()
        return top(rows, count)  # type: ignore[return-value]  # rows go in as dictionaries

    def _everywhere(
        self, asked: Mapping[str, list[str]], query: Query, count: int, deadline: float
    ) -> list[dict[str, Any]]:
        """Rows of all partitions that may hold a match, whoever owns them."""
        left = set(range(self._partitions))
        if query.symbol_id is not None:
            left = {symbol_partition(query.symbol_id, self._partitions)}
        rows: list[dict[str, Any]] = []
        problems: dict[int, str] = {}
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(min(ATTEMPT_PAUSE_SECONDS, _left(deadline)))
            for owner, partitions in self._by_owner(left):
                try:
                    if owner is None:
                        rows += self._own(query, count, partitions, deadline)
                    else:
                        rows += self._query(owner, asked, partitions, deadline)
                    left -= partitions
                except (QuestionRefusedError, PeerError) as refused:
                    problems |= dict.fromkeys(partitions, str(refused))
            left_unowned = {number for number in left if number not in problems}
            problems |= dict.fromkeys(left_unowned, "no worker has said that it answers for it")
            if not left:
                return top(rows, count)  # type: ignore[return-value]  # rows go in as dictionaries
        number = min(left)
        raise QuestionRefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE, f"partition {number} of {self._partitions}: {problems[number]}"
        )

    def _by_owner(self, partitions: set[int]) -> list[tuple[Owner | None, set[int]]]:
        """Partitions by owner, at most PARTITIONS_AT_ONCE of one; None is this worker. Unknown owners are left out."""
        mine = self._ownership.mine()
        found: dict[Owner, list[int]] = {}
        for number in sorted(partitions - mine):
            owner = self._ownership.owner(number)
            if owner is not None:
                found.setdefault(owner, []).append(number)
        parts: list[tuple[Owner | None, set[int]]] = [
            (owner, set(numbers[begin : begin + PARTITIONS_AT_ONCE]))
            for owner, numbers in found.items()
            for begin in range(0, len(numbers), PARTITIONS_AT_ONCE)
        ]
        return [(None, own), *parts] if (own := partitions & mine) else parts

    def _query(
        self, owner: Owner, asked: Mapping[str, list[str]], partitions: set[int], deadline: float
    ) -> list[dict[str, Any]]:
        query = urlencode({**asked, "partition": sorted(partitions)}, doseq=True)
        return self._peers.rows(owner, f"{PATH}?{query}", min(ASK_SECONDS, _left(deadline)))


def _left(deadline: float) -> float:
    """Seconds to a deadline. Raises QuestionRefusedError behind it."""
    left = deadline - time.monotonic()
    if left <= 0:
        text = f"the answer took more than {QUESTION_SECONDS:.0f} s; name a symbol, or fewer partitions"
        raise QuestionRefusedError(HTTPStatus.SERVICE_UNAVAILABLE, text)
    return left


def _parameters(query_string: str) -> dict[str, list[str]]:
    try:
        asked = parse_qs(query_string, keep_blank_values=True, strict_parsing=bool(query_string), max_num_fields=1100)
    except ValueError:
        raise QuestionRefusedError(HTTPStatus.BAD_REQUEST, "the query string is malformed") from None
    rest = urlencode({name: values for name, values in asked.items() if name != "partition"}, doseq=True)
    if len(rest) > MAX_QUERY_BYTES:
        raise QuestionRefusedError(HTTPStatus.REQUEST_URI_TOO_LONG, f"the query has more than {MAX_QUERY_BYTES} bytes")
    unknown = sorted(asked.keys() - _NAMES)
    if unknown:
        raise QuestionRefusedError(HTTPStatus.BAD_REQUEST, f"unknown parameter; there are {', '.join(sorted(_NAMES))}")
    twice = sorted(name for name, values in asked.items() if len(values) > 1 and name != "partition")
    if twice:
        raise QuestionRefusedError(HTTPStatus.BAD_REQUEST, f"{twice[0]} is there more than once")
    if asked.get("watched", ["true"])[0] not in _WORDS:
        raise QuestionRefusedError(HTTPStatus.BAD_REQUEST, "watched is neither true nor false")
    return asked


def _count(asked: Mapping[str, list[str]]) -> int:
    text = asked.get("top", ["20"])[0]
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= MAX_ROWS:
        raise QuestionRefusedError(HTTPStatus.BAD_REQUEST, f"top is not a number from 1 to {MAX_ROWS}")
    return int(text)


def _query(asked: Mapping[str, list[str]]) -> Query:
    since = asked.get("since")
    try:
        since_ns = None if since is None else parse_time(since[0], time.time_ns())
    except PositionError as error:
        raise QuestionRefusedError(HTTPStatus.BAD_REQUEST, f"since: {error}") from None
    texts: dict[str, Any] = {name: asked[name][0] for name in _TEXTS if name in asked}
    return Query(since_ns=since_ns, **texts)
