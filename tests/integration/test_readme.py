"""README's commands, run line by line as a stranger types them, on the broker that they start."""

import json
import os
import sys
from pathlib import Path

import pytest

from app.settings import PREFIX
from tests.support.go_modules import vulnerable_shop
from tests.support.shell_lines import Ran, Shell, shell_lines

pytestmark = pytest.mark.integration

REACHED = "Is CVE X reached here?"
ROOT = Path(__file__).resolve().parents[2]
LINE_SECONDS = 180.0


def test_the_readme_runs_line_by_line_as_written(tmp_path: Path) -> None:
    """Every line of both sections ends with exit code 0, and what a reader should see is there."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    reached = shell_lines(readme, REACHED)
    lines = shell_lines(readme, "Use it") + shell_lines(readme, "Prove it a year later") + reached
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / ".venv").symlink_to(sys.prefix)
    (checkout / "callstream-data").mkdir()
    vulnerable_shop(checkout / "callstream-data")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}

    ran: dict[str, Ran] = {}
    with Shell(checkout, environ) as shell:
        for line in lines:
            ran[line] = shell.run(line, seconds=LINE_SECONDS)
            print(f"$ {line}\n{ran[line].output}")  # noqa: T201 - pytest shows it where the test fails
            is_open = line.startswith("callstream vulnerabilities")  # 1 says that the vulnerability is not closed
            codes = {0, 1} if is_open else {0}
            assert ran[line].exit_code in codes, f"{line}\n{ran[line].output[-2000:]}"

    def output(begin: str) -> str:
        return next(one.output for line, one in ran.items() if line.startswith(begin))

    assert "Kprobe" in output("callstream tap --max"), "tap shows calls"
    assert "write" in output("callstream tap --symbol"), "tap finds a symbol"
    shown = json.loads(output("callstream top ").splitlines()[-1])
    assert [one["process"] for one in shown["processes"]] == ["ingest", "canonicalize", "privacy", "hot-symbols"]
    assert "libc.so.6!" in output("callstream hot-symbols --top"), "the table has the symbols that ran"
    assert json.loads(output("curl"))["rows"], "the endpoint answers with rows"
    assert "SSL_read" in output("callstream hot-symbols --watched"), "the watch has an answer"
    assert "code_present" in output("callstream vulnerabilities assess"), "the code is there"
    assert "1 probe in" in output("callstream vulnerabilities policy"), "its probe is written"
    assert list((checkout / "callstream-data" / "policies").glob("*.yaml")), "as a file"
    status = output("callstream vulnerabilities status")
    assert "under_investigation" in status, "nothing was probed"
    assert "try: callstream vulnerabilities policy" in status, "and the command says so"
    assert "proved" in output("callstream replay --verify"), "the run is proved"
    assert "<html" in (checkout / "callstream-data" / "calls.html").read_text(encoding="utf-8").lower()
