"""No secret leaves a whole deployment: the demonstration, with a load that plants one in every field of every kind."""

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.proof]

EVENTS = 10_000
"""At size 1; a hundred thousand in `make prove`."""
TIMEOUT_SECONDS = 600  # on a loaded machine; alone it takes less than a minute


def test_no_event_of_a_load_leaks_a_canary(size: int) -> None:
    """Public topics, changelogs, table rows, files, logs and web pages hold none, and the books balance."""
    events = EVENTS * size
    command = [sys.executable, "-m", "app", "demo", "--events", str(events), "--rate", "10000", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
    assert done.returncode in {0, 1}, done.stderr
    report = json.loads(done.stdout)

    searched, books = report["searched"], report["books"]
    assert searched["found"] == []
    assert books["findings"] == []
    assert books["sent"] == events
    assert books["balanced"]
    assert done.returncode == 0
    assert searched["proof"] > 300  # it finds them where they belong
    assert searched["records"] > books["calls"] > events // 2
    assert searched["rows"] > 0
    assert searched["pages"] == 12
