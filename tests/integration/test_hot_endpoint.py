"""Two workers on a real broker: either answers for both, and the one that is left for all."""

import json
import signal
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from app.embedded.broker import EmbeddedBroker
from tests.support.calls import frame
from tests.support.delivery_run import PARTITIONS, Worker
from tests.support.openapi_answers import openapi_misfits
from tests.support.watch_scene import DAY, WatchScene, watch_scene

pytestmark = pytest.mark.integration

TOKEN = "0123456789abcdef0123456789abcdef"
SYMBOLS = 40
FRAMES = [frame("/usr/bin/app", f"f{number}") for number in range(SYMBOLS)]


def _ask(worker: Worker, **asked: object) -> tuple[int, Any]:
    try:
        address = f"http://{worker.hot_symbols_address()}/hot-symbols?{urlencode(asked)}"
        answer = urllib3.request("GET", address, headers={"Authorization": f"Bearer {TOKEN}"}, retries=False)
    except (urllib3.exceptions.HTTPError, IndexError):
        return 0, None
    return answer.status, json.loads(answer.data)


def _await_rows(worker: Worker, hits: int, seconds: float) -> None:
    """Wait until it answers with all symbols, each hit so often."""
    deadline = time.monotonic() + seconds
    while True:
        status, found = _ask(worker, top=100)
        if status == 200 and [row["hits"] for row in found["rows"]] == [hits] * SYMBOLS:
            return
        assert time.monotonic() < deadline, f"{status} {str(found)[:500]}\n{worker.log_tail()}"
        time.sleep(0.5)


def _forge_owners(it: WatchScene, workers: Sequence[Worker]) -> None:
    """Write over all owners as a stranger can, and wait until the workers answer as before."""
    nonsense = (b"[" * 1_000, None)
    for value in (b'{"http": "169.254.169.254:8080", "worker": "forged-0"}', *nonsense):
        for partition in range(PARTITIONS):
            it.own(partition, value)
    deadline = time.monotonic() + 30
    for worker in workers:
        while worker.metric("hot_symbols_owner_refusals_total") < len(nonsense) * PARTITIONS:
            assert time.monotonic() < deadline, worker.log_tail()
        _await_rows(worker, PARTITIONS, 30)


def _check_openapi(worker: Worker) -> None:
    """Every path of docs/openapi.json, asked of the real servers: answers have the form that it says."""
    processes, table = f"http://{worker.http_address()}", f"http://{worker.hot_symbols_address()}"
    token = {"Authorization": f"Bearer {TOKEN}"}
    asked: list[tuple[str, str, int, dict[str, str]]] = [
        (processes, "/metrics", 200, {}),
        (processes, "/metrics", 200, {"Accept": "application/openmetrics-text"}),
        (processes, "/healthz", 200, {}),
        (table, "/hot-symbols?top=100&since=30d", 200, token),
        (table, "/hot-symbols?watched=true", 200, token),
        (table, "/hot-symbols?top=0", 400, token),
        (table, "/hot-symbols?colour=red", 400, token),
        (table, "/hot-symbols", 401, {}),
        (table, f"/hot-symbols?symbol={'x' * 9_000}", 414, token),
    ]
    moved = next(n for n in range(PARTITIONS) if _ask(worker, partition=n)[0] == HTTPStatus.MISDIRECTED_REQUEST)
    asked.append((table, f"/hot-symbols?partition={moved}", 421, token))
    rows = 0
    for address, path, status, headers in asked:
        answer = urllib3.request("GET", address + path, headers=headers, retries=False)
        assert answer.status == status, path
        content = answer.headers["Content-Type"]
        document = json.loads(answer.data) if content == "application/json" else answer.data.decode()
        misfits = openapi_misfits(path.partition("?")[0], status, content, document)
        assert misfits == [], path
        rows += len(document.get("rows", ())) if isinstance(document, dict) else 0
    assert rows > SYMBOLS
    ready = urllib3.request("GET", f"{processes}/readyz", retries=False)
    assert openapi_misfits("/readyz", ready.status, ready.headers["Content-Type"], json.loads(ready.data)) == []


def test_either_worker_answers_for_both_and_the_one_that_is_left_for_all(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Rows are those of the command line, a symbol comes from its owner, and whatever is left out is named.

    What another program says of owners is counted, or corrected by the owners.
    """
    with watch_scene(embedded, topic_prefix, tmp_path) as it:
        it.serve_hot_symbols(TOKEN)
        first, second = it.add_worker(), it.add_worker()
        for partition in range(PARTITIONS):
            it.call(*FRAMES, partition=partition, ago_ns=DAY)
        for worker in (first, second):
            _await_rows(worker, PARTITIONS, 60)
        shares = [[_ask(worker, partition=n)[0] for n in range(PARTITIONS)] for worker in (first, second)]
        assert sorted(map(sorted, shares)) == [[200, 200, 421, 421]] * 2
        assert [sum(pair) for pair in zip(*shares, strict=True)] == [200 + 421] * PARTITIONS

        printed = [json.loads(line) for line in it.hot_symbols("--top", "7", "--json").stdout.splitlines()]
        for worker in (first, second):
            assert _ask(worker, top=7)[1]["rows"] == printed
            (one,) = _ask(worker, symbol="/usr/bin/app!f3")[1]["rows"]
            assert (one["symbol"], one["hits"]) == ("f3", PARTITIONS)
            assert _ask(worker, since="1h")[1]["rows"] == []
            assert _ask(worker, symbol="f1?", module="app", since="2d")[1]["rows"][0]["symbol"] == "f10"

        it.watch("add", "never_called", "--module", "/usr/bin/app")
        it.await_answer("/usr/bin/app!never_called", lambda answer: answer["answer"] != "Unknown")
        deadline = time.monotonic() + 20
        for worker in (first, second):
            while not (watched := _ask(worker, watched="true")[1]["rows"]):
                assert time.monotonic() < deadline
                time.sleep(0.3)
            assert [(row["watch_id"], row["hits"]) for row in watched] == [("/usr/bin/app!never_called", 0)]

        _check_openapi(first)

        for worker in (first, second):
            assert worker.get("/hot-symbols")[0] == 404
            assert urllib3.request("GET", f"http://{worker.hot_symbols_address()}/hot-symbols").status == 401
            while worker.get("/readyz")[0] != 200:  # the first look at where the logs end comes after five seconds
                assert time.monotonic() < deadline, worker.get("/readyz")
                time.sleep(0.3)

        _forge_owners(it, (first, second))

        second.end(signal.SIGKILL, within_seconds=5)
        status, found = _ask(first, top=100)
        assert status == 503
        assert "does not answer" in found["error"]
        _await_rows(first, PARTITIONS, 60)
