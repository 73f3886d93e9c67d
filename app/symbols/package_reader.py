"""The process that reads bills of materials and package databases: `python -m app.symbols.package_reader`.

As in reader.py, it limits itself, and what a file does to a parser, it does to this process.

Requests: {"root": R, "paths": P, "output": O} writes to O who owns the paths in the file P; {"bill": B, "output": O}
writes the packages of a bill of materials. Answers: {} or {"refused": TEXT}.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any, Final

from app.symbols.bills import BillError, read_bill
from app.symbols.package_databases import owners_of

MAX_MEMORY_BYTES: Final = 4 * 2**30
"""A bill of 50 MB takes half a GB in the library of its format."""

MAX_OUTPUT_BYTES: Final = 2**30


def main() -> None:
    """Answer requests until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_OUTPUT_BYTES, MAX_OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(json.loads(line))) + "\n")
        sys.stdout.flush()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        document = _bill(request) if "bill" in request else _owners(request)
    except BillError as error:
        return {"refused": str(error)}
    except Exception as error:  # noqa: BLE001 - parsers raise what they like on malformed input
        return {"refused": type(error).__name__}
    Path(request["output"]).write_text(json.dumps(document), encoding="utf-8")
    return {}


def _bill(request: dict[str, Any]) -> dict[str, Any]:
    entries = read_bill(Path(request["bill"]))
    return {"packages": [[one.package_url, sorted(one.digests), sorted(one.paths)] for one in entries]}


def _owners(request: dict[str, Any]) -> dict[str, Any]:
    paths = json.loads(Path(request["paths"]).read_bytes())
    owners, unread = owners_of(paths, Path(request["root"]))
    return {"owners": owners, "unread": unread}


if __name__ == "__main__":
    main()
