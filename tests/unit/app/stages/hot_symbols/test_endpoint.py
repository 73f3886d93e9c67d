"""Questions over HTTP: each has one answer, whole, or a sentence that says what is wrong with it."""

import socket
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.hot_symbols.counting.partial import Partial
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.partitioning import symbol_partition
from agents.hot_symbols.table.published import published_record
from agents.hot_symbols.table.query import Query, top
from agents.hot_symbols.table.symbol_row import SymbolRow
from app.serving.access import HttpAccess
from app.serving.address import HostPort, host_port
from app.serving.request import HttpAnswer
from app.settings import Settings, from_env
from app.stages.hot_symbols import endpoint
from app.stages.hot_symbols.advertising import Owner, advertised, conflict, others_conflict, owner_in
from app.stages.hot_symbols.endpoint import Endpoint
from app.stages.hot_symbols.ownership import Ownership
from app.stages.hot_symbols.peers import PeerAccess, Peers
from app.stages.hot_symbols.query_port import QueryService
from app.stages.hot_symbols.table_scan import PartitionGoneError, rows_while, top_rows
from app.streaming.table import StrictTable
from app.telemetry.http import TelemetryServer
from app.telemetry.meter import Meter

PARTITIONS = 3


def state(symbol_id: str, *hits: int) -> bytes:
    """A row of the table, with a partial for each number of hits."""
    row = SymbolRow()
    for source, count in enumerate(hits):
        tally = Tally(symbol_id.partition("!")[0])
        tally.hits, tally.first_ns, tally.last_ns = count, 5, 9
        row.take(source, Partial(tally, 0, 1).to_bytes())
    return row.to_bytes()


class FakeTable:
    """Rows by partition; the real one is used in tests/integration/test_hot_endpoint.py."""

    def __init__(self, hits: dict[str, int]) -> None:
        self.states = {symbol: state(symbol, count, 1) for symbol, count in hits.items()}

    def rows(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Rows, and what the table keeps for itself."""
        yield b"\x00callstream\x00position", b"12345678"
        for symbol, row in sorted(self.states.items()):
            if symbol_partition(symbol, PARTITIONS) == partition:
                yield symbol.encode(), row


class FakeOwnership:
    """What one worker knows of owners."""

    def __init__(self, mine: set[int], addresses: dict[int, str]) -> None:
        self.own, self.addresses = mine, addresses

    def mine(self) -> set[int]:
        """Partitions of this worker."""
        return self.own

    def owner(self, partition: int) -> Owner | None:
        """Where another one listens."""
        address = host_port(self.addresses.get(partition, ""))
        return None if address is None else Owner(f"callstream-hot-symbols-here-{partition + 1}", address)


HITS = {f"/bin/a!f{number}": number % 7 for number in range(40)} | {"/bin/b!g": 3, "exec:/bin/a": 50}


ME = Owner("callstream-hot-symbols-here-0", HostPort("127.0.0.1", 1_024))
PEERS = Peers(ME, (), PeerAccess(None, None))


def worker(mine: set[int], addresses: dict[int, str] | None = None) -> Endpoint:
    """A worker's endpoint."""
    ownership = cast(Ownership, FakeOwnership(mine, addresses or {}))
    return Endpoint(cast(StrictTable, FakeTable(HITS)), ownership, PEERS, PARTITIONS, list)


def ask(of: Endpoint, **asked: object) -> tuple[HTTPStatus, Any]:
    """Status, and rows as (id, hits) or the problem."""
    answer: HttpAnswer = of(urlencode(asked, doseq=True))
    document = cast("dict[str, Any]", answer.document)
    if answer.status is not HTTPStatus.OK:
        return answer.status, document["error"]
    return answer.status, [(row["symbol_id"], row["hits"]) for row in document["rows"]]


def expected(count: int) -> list[tuple[str, int]]:
    """The first rows of all, counted in the plainest way."""
    return sorted(((name, hits + 1) for name, hits in HITS.items()), key=lambda row: (-row[1], row[0]))[:count]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ATTEMPT_PAUSE_SECONDS", 0.0)


def test_a_worker_asks_the_owners_of_other_partitions() -> None:
    """Three workers, each with a third of the rows, give the same answer, which is that of the whole table."""
    endpoints = [worker({number}) for number in range(PARTITIONS)]
    servers = [QueryService(Settings(), Meter()) for _ in endpoints]
    try:
        addresses = {number: str(server.listen()) for number, server in enumerate(servers)}
        for server, one in zip(servers, endpoints, strict=True):
            server.serve(one, HttpAccess())
        for one in endpoints:
            cast(FakeOwnership, one._ownership).addresses = addresses
            assert ask(one, top=9) == (HTTPStatus.OK, expected(9))
            assert ask(one, symbol="/bin/b!g") == (HTTPStatus.OK, [("/bin/b!g", 4)])
            assert ask(one, symbol="f1*", module="a", top=100)[1] == [
                row for row in expected(100) if row[0].startswith("/bin/a!f1")
            ]
    finally:
        for server in servers:
            server.close()


def test_an_answer_that_would_lack_rows_is_none() -> None:
    """Nobody is known, nobody listens, or what listens is something else: the partition is named."""
    assert ask(worker({0, 1}))[0] is HTTPStatus.SERVICE_UNAVAILABLE
    assert "partition 2 of 3: no worker has said" in ask(worker({0, 1}))[1]
    assert "does not answer" in ask(worker({0, 1}, {2: f"127.0.0.1:{_closed_port()}"}))[1]
    server = TelemetryServer(Meter(), alive={}, ready={})
    try:
        assert "not a worker of callstream" in ask(worker({0, 1}, {2: server.start("127.0.0.1", 0)}))[1]
    finally:
        server.close()


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return int(closed.getsockname()[1])


def test_a_symbol_is_asked_of_its_owner_only() -> None:
    """Other workers may be away."""
    number = symbol_partition("/bin/b!g", PARTITIONS)

    assert ask(worker({number}), symbol="/bin/b!g") == (HTTPStatus.OK, [("/bin/b!g", 4)])


def test_a_worker_says_that_a_partition_is_not_its_own() -> None:
    """Whoever asked it with an old address learns it."""
    assert ask(worker({0}), partition=[0, 1])[0] is HTTPStatus.MISDIRECTED_REQUEST
    assert ask(worker({0}), partition=[0])[0] is HTTPStatus.OK


@pytest.mark.parametrize(
    "query",
    [
        "top=0",
        "top=1001",
        "top=many",
        "top=²",
        "top=1&top=2",
        "since=yesterday",
        "since=2026-01-31T12:00:00",
        "watched=maybe",
        "partition=3",
        "partition=-1",
        "delete=all",
        "&&=",
        "nonsense",
    ],
)
def test_a_question_that_is_none_is_refused(query: str) -> None:
    """With a sentence, and without a look through the table."""
    answer = worker(set())(query)

    assert answer.status is HTTPStatus.BAD_REQUEST
    assert cast("dict[str, str]", answer.document)["error"]


def test_answers_to_watches_are_there_or_said_to_be_missing() -> None:
    """Every worker has all of them."""
    made = worker(set())
    answer = {"watch_id": "!f", "symbol": "f", "module": None, "build_id": None, "hits": 0}
    made._answers = lambda: [answer]
    assert made("watched=true&symbol=f").document == {"rows": [answer]}
    assert made("watched=1&module=libz").document == {"rows": []}
    made._answers = lambda: None
    assert made("watched=true").status is HTTPStatus.SERVICE_UNAVAILABLE


NAMES = ["f", "g", "f%21", "operator new[]", "é"]
PATTERNS = st.sampled_from(
    [None, "f", "f!", "f*", "*", "?", "[fg]", "f[!]", "operator*", "*new[]", "é", "a!f", "/bin/a", "b", "*a"]
)


@given(
    st.dictionaries(st.sampled_from([f"/bin/{a}!{b}" for a in ("a", "b") for b in NAMES]), st.integers(0, 4)),
    st.integers(1, 9),
    st.builds(
        lambda ask, symbol, module, since_ns: ask(Query(symbol=symbol, module=module, since_ns=since_ns)),
        st.sampled_from([lambda query: query, lambda query: query.by_any_name(None)]),
        PATTERNS,
        PATTERNS,
        st.sampled_from([None, 9, 10]),
    ),
)
def test_the_first_rows_are_those_of_the_whole_table(hits: dict[str, int], count: int, query: Query) -> None:
    """Leaving rows packed that cannot be among the first changes nothing."""
    states = {name: state(name, number, number) for name, number in hits.items()}
    whole = [published_record(name, SymbolRow.from_bytes(row).tally()) for name, row in states.items()]

    found = top_rows(((name.encode(), row) for name, row in sorted(states.items())), query, count)
    assert found == top(filter(query.matches, whole), count)


def test_a_partition_that_is_given_up_ends_the_look() -> None:
    """Nothing is answered from half of a partition."""
    owned = [{0}]
    rows = rows_while(lambda: owned.pop() if owned else set(), cast(StrictTable, FakeTable({})), 0)

    with pytest.raises(PartitionGoneError):
        list(rows)
    with pytest.raises(PartitionGoneError):
        next(rows_while(set, cast(StrictTable, FakeTable({})), 0))


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (b'{"http": "127.0.0.1:80", "worker": "w-0"}', "127.0.0.1:80"),
        (b'{"http": "[::1]:80", "worker": "w-0"}', "[::1]:80"),
        (b'{"http": "::1:80", "worker": "w-0"}', None),
        (b'{"http": "[fe80::1%eth0]:80", "worker": "w-0"}', None),
        (b'{"http": "127.0.0.1:80/path?x=", "worker": "w-0"}', None),
        (b'{"http": "user@127.0.0.1:80", "worker": "w-0"}', None),
        (b'{"http": "127.0.0.1:port", "worker": "w-0"}', None),
        (b'{"http": "127.0.0.1:65536", "worker": "w-0"}', None),
        (b'{"http": "127.0.0.1", "worker": "w-0"}', None),
        (b'{"http": "127.0.0.1:80", "worker": "w\\u001b[31m-0"}', None),
        (b'{"http": "127.0.0.1:80"}', None),
        (b'{"http": "127.0.0.1:80", "worker": "' + b"w" * 2_000 + b'"}', None),
        (b'{"http": 7, "worker": "w-0"}', None),
        (b"[" * 1_000, None),
        (b"[]", None),
        (b"\xff", None),
        (None, None),
    ],
)
def test_an_owner_is_a_host_and_a_port(value: bytes | None, address: str | None) -> None:
    """What anybody else writes to the topic leads nowhere else."""
    owner = owner_in(value)

    assert (None if owner is None else str(owner.address)) == address


def test_a_worker_that_listens_everywhere_tells_where_it_can_be_reached() -> None:
    """By the address that its way to Kafka begins at; a chosen address is told as it is."""
    settings = Settings(kafka_bootstrap_servers="127.0.0.1:9092,other:1")

    assert advertised(settings, HostPort("0.0.0.0", 81)) == HostPort("127.0.0.1", 81)
    assert advertised(settings, HostPort("10.1.2.3", 81)) == HostPort("10.1.2.3", 81)
    assert str(advertised(settings, HostPort("2001:db8::5", 81))) == "[2001:db8::5]:81"


@pytest.mark.parametrize(
    ("setting", "address"),
    [("pod-1.hot", "pod-1.hot:81"), ("10.9.9.9:8080", "10.9.9.9:8080"), ("[2001:db8::5]", "[2001:db8::5]:81")],
)
def test_an_operator_says_where_a_worker_is_reached(setting: str, address: str) -> None:
    """With a port, or with the one that it listens on; what is published is read back as the same."""
    settings = from_env({"CALLSTREAM_ADVERTISED_ADDRESS": setting})
    owner = Owner("w-0", advertised(settings, HostPort("0.0.0.0", 81)))

    assert str(owner.address) == address
    assert owner_in(owner.encoded()) == owner


def test_workers_that_would_ask_themselves_are_found() -> None:
    """Loopback beside another host, or one address for two; workers of one host may all be on loopback."""

    def owner(worker: str, address: str) -> Owner:
        found = host_port(address)
        assert found is not None
        return Owner(worker, found)

    here = owner("hot-one-0", "127.0.0.1:19102")
    neighbour = owner("hot-one-1", "127.0.0.1:19103")
    far = owner("hot-two-0", "127.0.0.1:19102")
    assert conflict(here, [neighbour], ["hot-one-1"]) is None
    assert "which other hosts cannot reach, and hot-two-0 runs" in (conflict(here, [], ["hot-two-0"]) or "")
    assert "CALLSTREAM_ADVERTISED_ADDRESS" in (conflict(here, [], ["hot-two-0"]) or "")
    open_to_others = owner("hot-one-0", "10.0.0.1:19102")
    assert conflict(open_to_others, [], ["hot-two-0"]) is None
    assert conflict(open_to_others, [far], ["hot-two-0"]) is None
    assert "hot-two-0 runs on another host and advertises" in (others_conflict(open_to_others, [far]) or "")
    assert others_conflict(here, [neighbour]) is None
    twin = owner("hot-two-0", "10.0.0.1:19102")
    assert "and so does hot-two-0" in (conflict(open_to_others, [twin], ["hot-two-0"]) or "")
