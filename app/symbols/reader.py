"""The process that reads strangers' files: `python -m app.symbols.reader`, one JSON request and one JSON answer a line.

It limits its own memory, processor time and output before the first request; the parent limits the time of each request
(limited_reader.py). Whatever a file does to the parser, it does to this process.

Requests: {"path": P} looks at a file; with "whole" it answers {"content": SHA-256 of all of it}. {"path": P,
"packages": O} writes what the file says of its packages to O. With "output": O it
builds P's index into O, with the names and lines of "debug_path" where given, and without any debug information if
"dwarf" is false. {"index": I, "debug_path": D, "output": O} extends the index I. Answers: the fields of `Probe` or
`Built`, or {"refused": name of a FileRefusalReason, "detail": TEXT}. An exception's text is never in an answer,
because it may quote the file.
"""

import gc
import json
import os
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import encode_index
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError
from app.symbols.index_builder import build_index, content_digest, extend_index, probe_file, read_packages

# An index of 70,000 functions takes 100 MiB to build, the lines of libLLVM some 2 GiB; the file itself is mapped.
MAX_MEMORY_BYTES: Final = 4 * 2**30
# The largest index seen, of rustc's driver with lines, has 300 MB.
MAX_INDEX_BYTES: Final = 2**30
# Of the whole life of a process; a request has its own limit.
MAX_CPU_SECONDS: Final = 3_600
MAX_OPEN_FILES: Final = 64


@dataclass(frozen=True, slots=True)
class Built:
    """What was written."""

    build_id: str
    functions: int
    lines: int
    origins: int
    notes: tuple[str, ...] = ()


def main() -> None:
    """Answer requests until the input ends."""
    _limit()
    gc.disable()  # a build makes 10^5 tuples and no cycles; the process is replaced before garbage could matter
    for line in sys.stdin:
        answer = _answer(json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_INDEX_BYTES, MAX_INDEX_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's, each of which takes of the memory, and none is needed


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return _done(request)
    except FileRefusedError as refused:
        return {"refused": refused.reason.name, "detail": refused.detail}
    except (MemoryError, RecursionError) as error:
        return {"refused": FileRefusalReason.OVER_LIMIT.name, "detail": type(error).__name__}
    except Exception as error:  # noqa: BLE001 - parsers raise what they like on malformed input
        return {"refused": FileRefusalReason.MALFORMED.name, "detail": type(error).__name__}


def _done(request: dict[str, Any]) -> dict[str, Any]:
    output = request.get("output")
    debug_path = Path(request["debug_path"]) if request.get("debug_path") else None
    with_lines = bool(request.get("lines"))
    notes: list[str] = []
    if output is None and request.get("whole"):
        return {"content": content_digest(Path(request["path"]))}
    if "packages" in request:
        Path(request["packages"]).write_bytes(read_packages(Path(request["path"])).encoded())
        return {}
    if output is None:
        return asdict(probe_file(Path(request["path"])))
    if debug_path is not None and "index" in request:
        known = SymbolIndex(memoryview(Path(request["index"]).read_bytes()))
        content = extend_index(known, debug_path, with_lines=with_lines, note=notes.append)
    else:
        content = build_index(
            Path(request["path"]),
            debug_path,
            with_lines=with_lines,
            with_dwarf=request.get("dwarf", True),
            note=notes.append,
        )
    Path(output).write_bytes(encode_index(content))
    functions, lines = len(content.ranges.starts), len(content.lines.addresses)
    return asdict(Built(content.build_id, functions, lines, int(content.origins), tuple(notes)))


if __name__ == "__main__":
    main()
