"""Another worker, started as anybody would: it shares the work, or says why it cannot."""

import shutil
import signal
from pathlib import Path

import pytest
import urllib3

from app.embedded.broker import EmbeddedBroker
from app.processes.process_end import ExitCode
from tests.support.delivery_run import DeliveryRun, Worker, assert_nothing_lost, delivery_run

pytestmark = pytest.mark.integration

JOINED_SECONDS = 60


def _add(run: DeliveryRun, folder: Path, index: str, **environ: str) -> Worker:
    """A worker with a data folder of its own."""
    folder.mkdir(exist_ok=True)
    own = {"CALLSTREAM_DATA_DIR": str(folder), **environ}
    return run.add_worker(index=index, environ=own)


def _metrics_of(worker: Worker) -> str:
    """Its page; empty while it starts again, when the address in its log is still that of its last run."""
    try:
        return worker.get("/metrics")[1]
    except urllib3.exceptions.HTTPError:
        return ""


def _read_until_all_have_partitions(run: DeliveryRun, count: int) -> None:
    """Each worker shows the lag of so many partitions. One that a rival pushed out is started again.

    It ends by the group's members, or by the work that a rival keeps it from committing, whichever it sees first.
    """
    for _ in range(JOINED_SECONDS):
        for worker in run.workers:
            if worker.exit_code is not None:
                assert worker.exit_code in {ExitCode.INDEX_TAKEN, ExitCode.SENDS_AGAIN}, worker.log_tail()
                worker.start()
        pages = [_metrics_of(worker) for worker in run.workers if worker.serves]
        if [page.count("runtime_consumer_lag_records{") for page in pages] == [count] * len(run.workers):
            return
        run.reader.read(1)
    raise AssertionError(run.logs())


def test_two_workers_without_an_index_share_the_work_under_kills(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Each has a data folder of its own; nothing is missing, and at most a fifth of the records come twice."""
    with delivery_run(embedded.bootstrap_servers, topic_prefix, tmp_path, total=60_000, rate=3_000, workers=0) as run:
        for number in range(2):
            _add(run, tmp_path / f"data-{number}", "free")
        _read_until_all_have_partitions(run, 2)
        for victim in (run.workers[0], run.workers[1], run.workers[0]):
            victim.end(signal.SIGKILL, within_seconds=10)
            run.reader.read(1)
            victim.start()
            run.reader.read(4)
        run.read_until_complete(45)
        assert_nothing_lost(run)
        assert run.reader.repeated <= run.total / 5, run.logs()
        folders = sorted(path.name for number in range(2) for path in (tmp_path / f"data-{number}").glob("*/worker-*"))
        assert folders == ["worker-0", "worker-1"], "a worker did not keep its index"


def test_an_index_that_another_worker_of_the_host_has_is_refused(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """The one that has it goes on."""
    with delivery_run(embedded.bootstrap_servers, topic_prefix, tmp_path, total=1_000, rate=1_000, workers=0) as run:
        first = _add(run, tmp_path / "one", "7")
        _read_until_all_have_partitions(run, 4)
        second = _add(run, tmp_path / "two", "7")
        assert second.wait(within_seconds=60) == ExitCode.INDEX_TAKEN, second.log_tail()
        assert "leave out --index" in second.log_tail()
        run.read_until_complete(45)
        assert_nothing_lost(run)
        assert first.exit_code is None


def test_a_worker_that_another_host_of_the_same_name_pushes_out_of_the_group_ends(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Its data folder was copied, so nothing shows that the index is taken. Started again, it takes another one."""
    with delivery_run(embedded.bootstrap_servers, topic_prefix, tmp_path, total=20_000, rate=1_000, workers=0) as run:
        hosts = [tmp_path / "host-0", tmp_path / "host-1"]
        for host in hosts:
            host.mkdir()
        first = _add(run, tmp_path / "data-0", "free", TMPDIR=str(hosts[0]))
        _read_until_all_have_partitions(run, 4)
        shutil.copytree(tmp_path / "data-0", tmp_path / "data-1")
        second = _add(run, tmp_path / "data-1", "free", TMPDIR=str(hosts[1]))
        ended: list[Worker] = []
        for _ in range(JOINED_SECONDS):
            run.reader.read(1)
            ended = [worker for worker in (first, second) if worker.exit_code is not None]
            if ended:
                break
        assert ended, run.logs()
        assert {worker.exit_code for worker in ended} == {ExitCode.INDEX_TAKEN}, run.logs()
        _read_until_all_have_partitions(run, 2)
        run.read_until_complete(45)
        assert_nothing_lost(run)
