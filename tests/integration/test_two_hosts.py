"""Hot-symbols workers on two hosts: they refuse what cannot work, and answer for each other where it can."""

import http.client
import json
import signal
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from app.embedded.broker import EmbeddedBroker
from tests.support.calls import frame
from tests.support.delivery_run import PARTITIONS, Worker
from tests.support.two_hosts import NetworkHost, two_hosts, why_not
from tests.support.watch_scene import WatchScene, watch_scene

pytestmark = pytest.mark.integration

TOKEN = "0123456789abcdef0123456789abcdef"
PORT = 9467
READY_SECONDS = 60.0


def _get(host: NetworkHost, address: str, path: str) -> tuple[int, Any]:
    """Status and document, as a program on that host gets them."""
    name, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(name, int(port), timeout=30)
    try:
        with host.entered():
            connection.connect()
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _await(host: NetworkHost, worker: Worker, address: str, path: str) -> Any:
    """The document once it comes with status 200."""
    deadline = time.monotonic() + READY_SECONDS
    found: tuple[int, Any] | str = "nothing"
    while time.monotonic() < deadline:
        try:
            found = _get(host, address, path)
        except (OSError, http.client.HTTPException) as error:
            found = repr(error)
        if found[0] == 200:
            return found[1]
        time.sleep(0.3)
    raise AssertionError(f"{found}\n{worker.log_tail()}")


def _ready(host: NetworkHost, worker: Worker) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not worker.serves:
        assert time.monotonic() < deadline, worker.log_tail()
        time.sleep(0.1)
    _await(host, worker, worker.http_address(), "/readyz")


def _worker(it: WatchScene, host: NetworkHost, *program: str, **settings: str) -> Worker:
    """A worker on a host, with its own data folder and log."""
    environ = it.environ | {"CALLSTREAM_DATA_DIR": str(it.folder / host.name)} | settings
    log = it.folder / f"{host.name}.log"
    worker = Worker(program or ("tests.support.hot_symbols_worker", "0"), environ, log, within=host.within)
    worker.start()
    it.workers.append(worker)
    return worker


@pytest.mark.skipif(why_not() is not None, reason=f"two hosts need network namespaces: {why_not()}")
def test_workers_on_two_hosts_answer_for_each_other_or_say_why_not(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """On loopback the second one does not start, and says what to set; with reachable addresses either has all rows."""
    ports = [int(embedded.bootstrap_servers.rpartition(":")[2]), urlsplit(embedded.registry_url).port or 0]
    with two_hosts(ports) as (one, two), watch_scene(embedded, topic_prefix, tmp_path) as it:
        it.serve_hot_symbols(TOKEN)
        it.environ["CALLSTREAM_HOT_SYMBOLS_PORT"] = str(PORT)
        for partition in range(PARTITIONS):
            it.call(frame("/usr/bin/app", f"f{partition}"), partition=partition)
        first = _worker(it, one)
        _ready(one, first)

        refused = _worker(it, two, "app", "worker", "--stage", "hot-symbols")
        deadline = time.monotonic() + READY_SECONDS
        while refused.exit_code is None:
            assert time.monotonic() < deadline, refused.log_tail()
            time.sleep(0.1)
        assert refused.exit_code == 2
        assert f"this worker advertises 127.0.0.1:{PORT}, which other hosts cannot reach" in refused.log_tail()
        assert "CALLSTREAM_ADVERTISED_ADDRESS" in refused.log_tail()

        first.end(signal.SIGTERM, within_seconds=20)
        first = _worker(it, one, CALLSTREAM_HOT_SYMBOLS_HOST=one.address)
        second = _worker(
            it, two, CALLSTREAM_HOT_SYMBOLS_HOST="0.0.0.0", CALLSTREAM_ADVERTISED_ADDRESS=f"{two.address}:{PORT}"
        )
        path = f"/hot-symbols?{urlencode({'top': 10})}"
        for host, worker, address in (
            (one, first, f"{one.address}:{PORT}"),
            (two, second, f"{two.address}:{PORT}"),
            (two, second, f"{one.address}:{PORT}"),
        ):
            _ready(host, worker)
            rows: list[dict[str, Any]] = []
            deadline = time.monotonic() + READY_SECONDS
            while len(rows) < PARTITIONS:
                assert time.monotonic() < deadline, f"{rows}\n{first.log_tail()}\n{second.log_tail()}"
                rows = _await(host, worker, address, path)["rows"]
            assert sorted(row["symbol"] for row in rows) == [f"f{number}" for number in range(PARTITIONS)]
