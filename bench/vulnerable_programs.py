"""Real programs with vulnerable modules, against govulncheck: `python -m bench.vulnerable_programs DATABASE`.

Names of programs behind the database choose some of them.

Builds programs of the module proxy, whole and stripped, and govulncheck. For each program the advisories whose
functions govulncheck finds in the whole file must be those that we call present; none of them may be called absent; and
the stripped twin must have the same answers, which govulncheck cannot give.

Records bench/results/vulnerable_programs.txt, and govulncheck's answers for the test of the same kind. Advisories of
Go alone are left out: they depend on the Go that compiles.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from agents.vulnerabilities.go_build import STANDARD_LIBRARY, TOOLCHAIN
from app.vulnerabilities.advisory_files import VulnerabilityDatabase, read_database
from bench.figures import Row, Table, record, text_of
from tests.support.go_modules import installed
from tests.support.vulnerable_programs import ANSWERS, answers, is_of_go

GOVULNCHECK: Final = "v1.1.4"
IN_TEST: Final = ("github.com/rakyll/hey@v0.1.4", "filippo.io/age/cmd/age@v1.0.0", "filippo.io/mkcert@v1.4.4")
LARGER: Final = (
    "github.com/nats-io/nats-server/v2@v2.9.0",
    "sigs.k8s.io/kustomize/kustomize/v4@v4.5.7",
    "github.com/go-delve/delve/cmd/dlv@v1.20.0",
    "github.com/mikefarah/yq/v4@v4.45.1",
    "golang.org/x/tools/gopls@v0.19.1",
)


def main() -> None:
    """Build, compare, print and record. Exits with 1 where an answer is wrong."""
    path, chosen = Path(sys.argv[1]), sys.argv[2:] or (*IN_TEST, *LARGER)
    database = read_database(path)
    rows: list[Row] = []
    recorded: dict[str, Any] = {}
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="vulnerable-") as scratch:
        checker = _govulncheck()
        place = _as_govulncheck_reads_it(path, Path(scratch) / "database")
        for package in chosen:
            said = _levels(checker, place, installed(package, stripped=False))
            row, is_right = _compared(package, said, database, Path(scratch))
            wrong += not is_right
            rows.append(row)
            recorded[package] = {level: sorted(ids) for level, ids in said.items()}
            print(row, flush=True)
    document = {
        "govulncheck": GOVULNCHECK,
        "database": path.name,
        "digest": database.digest,
        "programs": {name: recorded[name] for name in IN_TEST if name in recorded},
    }
    if len(document["programs"]) == len(IN_TEST):
        ANSWERS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    table = Table("Vulnerable programs against govulncheck", {"database": path.name, "govulncheck": GOVULNCHECK}, rows)
    record("vulnerable_programs", [table])
    print(text_of(table))
    sys.exit(1 if wrong else 0)


def _compared(
    package: str, said: dict[str, set[str]], database: VulnerabilityDatabase, scratch: Path
) -> tuple[Row, bool]:
    advisories = [one for one in database.advisories.values() if not is_of_go(one)]
    folder = scratch / package.replace("/", "-")
    started = time.process_time()
    whole, functions = answers(folder / "whole", installed(package, stripped=False), advisories)
    seconds = time.process_time() - started
    stripped, _ = answers(folder / "stripped", installed(package, stripped=True), advisories)
    counts = Counter(whole.values())
    present = {name for name, answer in whole.items() if answer == "code_present"}
    absent = {name for name, answer in whole.items() if answer == "code_absent"}
    is_right = present == said["symbol"] and not absent & said["symbol"] and stripped == whole
    figures = {
        "functions": functions,
        "seconds": seconds,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "govulncheck symbol": len(said["symbol"]),
        "govulncheck module": len(said["module"]),
        "present": counts["code_present"],
        "absent": counts["code_absent"],
        "cannot tell": counts["cannot_tell"],
        "no functions": counts["no_functions_named"],
        "same ids": present == said["symbol"],
        "same stripped": stripped == whole,
    }
    return Row(package, figures), is_right


def _govulncheck() -> Path:
    return installed(f"golang.org/x/vuln/cmd/govulncheck@{GOVULNCHECK}", stripped=False)


def _levels(checker: Path, database: Path, program: Path) -> dict[str, set[str]]:
    """The advisories that govulncheck finds: functions of them in the file (symbol), or their modules only."""
    command = (checker, "-mode", "binary", "-db", f"file://{database}", "-format", "json", program)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
    found: dict[str, set[str]] = defaultdict(set)
    of_go = set()
    for message in _messages(done.stdout):
        affected = message["osv"]["affected"] if "osv" in message else []
        if affected and all(one["package"]["name"] in {STANDARD_LIBRARY, TOOLCHAIN} for one in affected):
            of_go.add(message["osv"]["id"])
        if "finding" in message:
            found[message["finding"]["osv"]].add("symbol" if "function" in message["finding"]["trace"][0] else "module")
    levels: dict[str, set[str]] = {"symbol": set(), "module": set()}
    for name, several in found.items():
        if name not in of_go:
            levels["symbol" if "symbol" in several else "module"].add(name)
    return levels


def _messages(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        message, at = decoder.raw_decode(text, at)
        yield message


def _as_govulncheck_reads_it(path: Path, folder: Path) -> Path:
    """The database as a folder with its indexes: go.dev/doc/security/vuln/database."""
    modules: dict[str, dict[str, Any]] = defaultdict(dict)
    ids = []
    (folder / "ID").mkdir(parents=True)
    (folder / "index").mkdir()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith(("index/", "ID/index")) or not name.endswith(".json"):
                continue
            document = json.loads(archive.read(name))
            (folder / "ID" / Path(name).name).write_text(json.dumps(document))
            ids.append({"id": document["id"], "modified": document["modified"]})
            for affected in document["affected"]:
                fixed = [
                    event["fixed"] for one in affected.get("ranges", []) for event in one["events"] if "fixed" in event
                ]
                entry = {"id": document["id"], "modified": document["modified"], "fixed": fixed[-1] if fixed else ""}
                modules[affected["package"]["name"]][document["id"]] = entry
    listed = [{"path": name, "vulns": list(vulns.values())} for name, vulns in sorted(modules.items())]
    (folder / "index" / "modules.json").write_text(json.dumps(listed))
    (folder / "index" / "vulns.json").write_text(json.dumps(ids))
    (folder / "index" / "db.json").write_text('{"modified": "2026-08-21T00:00:00Z"}')
    return folder


if __name__ == "__main__":
    main()
