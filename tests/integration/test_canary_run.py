"""No secret leaves a whole deployment: the demonstration, with a load that plants one in every field of every kind."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

EVENTS = 100_000
TIMEOUT_SECONDS = 600  # on a loaded machine; alone it takes less than a minute


def test_none_of_a_hundred_thousand_events_leaks_a_canary() -> None:
    """Public topics, changelogs, table rows, files, logs and web pages hold none, and the books balance."""
    command = [sys.executable, "-m", "app", "demo", "--events", str(EVENTS), "--rate", "10000", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
    assert done.returncode in {0, 1}, done.stderr
    report = json.loads(done.stdout)

    searched, books = report["searched"], report["books"]
    assert searched["found"] == []
    assert books["findings"] == []
    assert books["sent"] == EVENTS
    assert books["balanced"]
    assert done.returncode == 0
    assert searched["proof"] > 300  # it finds them where they belong
    assert searched["records"] > books["calls"] > EVENTS // 2
    assert searched["rows"] > 0
    assert searched["pages"] == 12
