"""How `callstream ingest` starts: what it waits for, what it refuses to start with, and the way out that it names."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.simulator.recording import Recording
from app.simulator.server import ServerTlsFiles, SimulatorServer
from schemas.tetragon.events_pb2 import GetEventsResponse, ProcessExec
from schemas.tetragon.process_pb2 import Process
from tests.support.breakable_broker import BreakableBroker
from tests.support.certificates import Authority
from tests.support.ingest_process import IngestSite, wait_for

pytestmark = pytest.mark.integration

_EXEC = ProcessExec(process=Process(exec_id="exec-1"))
EVENT = GetEventsResponse(node_name="node-1", process_exec=_EXEC).SerializeToString()


@pytest.fixture(name="site")
def _site(embedded: BreakableBroker, topic_prefix: str, tmp_path: Path) -> IngestSite:
    return IngestSite(embedded, topic_prefix, tmp_path)


def test_absent_tetragon_is_told_and_waited_for(site: IngestSite) -> None:
    """Alive, not ready, and the reason names the address."""
    with site.ingest("127.0.0.1:1") as ingest:
        wait_for(lambda: "nothing listens there" in ingest.get("/readyz")[1], "the reason")
        status, text = ingest.get("/readyz")
        alive, _ = ingest.get("/healthz")
        code, _, log = ingest.stop()

    assert (status, alive, code) == (503, 200, 0)
    assert "Tetragon at 127.0.0.1:1" in text
    assert "Tetragon at 127.0.0.1:1: nothing listens there" in log


def _refusal(site: IngestSite, **settings: object) -> tuple[int, str]:
    """Exit code and standard error of an ingest that does not start."""
    more = {f"CALLSTREAM_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "app", "ingest"]
    ended = subprocess.run(
        command, env={**site.environ, **more}, capture_output=True, text=True, timeout=60, check=False
    )
    return ended.returncode, ended.stderr


def test_missing_topic_is_refused_with_the_way_out(site: IngestSite) -> None:
    """Topics are created by `topics apply`, never by accident."""
    code, error = _refusal(site, topic_prefix="nobody-made-these.")

    assert code == 2
    assert "has no topic nobody-made-these.tetragon.raw; create it with: callstream topics apply" in error


def test_wrong_settings_are_told_together(site: IngestSite) -> None:
    """Filters and TLS in one go, by name, before anything is connected."""
    code, error = _refusal(
        site,
        tetragon_address="unix:///run/tetragon.sock",
        tetragon_tls_server_name="x",
        tetragon_deny_list='[{"binary_regex": ["("]}]',
    )

    assert code == 2
    assert "CALLSTREAM_TETRAGON_TLS_SERVER_NAME" in error
    assert "CALLSTREAM_TETRAGON_DENY_LIST[0].binary_regex[0]" in error


def test_wrong_tls_ends_with_the_mistake(site: IngestSite, tmp_path: Path) -> None:
    """A running process that will never see an event is worse than one that says why and ends."""
    authority = Authority.create(tmp_path)
    pair = authority.issue("agent")
    recording = Recording.of([EVENT])
    with SimulatorServer(recording, tls=ServerTlsFiles(pair.certificate, pair.key)) as server:
        code, error = _refusal(site, tetragon_address=server.address)

    assert code == 2
    assert "speaks TLS and we do not: set CALLSTREAM_TETRAGON_TLS_CA_FILE" in error


def test_mutual_tls_with_another_name(site: IngestSite, tmp_path: Path) -> None:
    """As Tetragon's Helm chart sets it up: a certificate for a name that is not the address."""
    authority = Authority.create(tmp_path)
    pair, ours = authority.issue("agent"), authority.issue("us")
    settings = {
        "tetragon_tls_ca_file": authority.file,
        "tetragon_tls_cert_file": ours.certificate,
        "tetragon_tls_key_file": ours.key,
        "tetragon_tls_server_name": "agent",
    }
    tls = ServerTlsFiles(pair.certificate, pair.key, authority.file)
    with (
        SimulatorServer(Recording.of([EVENT] * 10), tls=tls) as server,
        site.ingest(server.address, **settings) as ingest,
    ):
        ingest.await_written(10)
