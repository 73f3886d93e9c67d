"""The program that bench.compare runs in each commit: it times the pure steps over given events.

Usage: python compare_steps.py TREE EVENTS_FILE [COUNT], or with --indexes FILE... or --strings FILE instead, in the
commit's own Python, with the commit's files (TREE) on its path. With COUNT it writes that many generated events to
EVENTS_FILE, without it measures. With --indexes it measures what the symbol indexes of files take to build, with
--strings what it takes to redact argument strings; FILE has them as JSON: lists of binary and arguments, by name. It
imports nothing from bench/, because it must run in commits that are older than itself.

Modules move, so it finds what it needs by name: it looks through the files of TREE for the one module that defines
the name at its left margin, and imports that. What was only moved is found without a change here. What was renamed is
found under both names, if `find` gets both.

For each line that it reads it prints a line of JSON: {"figures": {step: CPU µs for one event}, "digests": {step: the
SHA-256 of its outputs}}. Every answer starts with new steps. "first time" is a pass over all events by new steps,
whose caches fill; "again" is a second pass over the same events at later offsets, which is the steady state of a
stage.
"""

import gc
import hashlib
import importlib
import inspect
import json
import re
import struct
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

BATCH = 500
PARTITION = 0
PARTITIONS = 8
SCHEMA_ID = 1
"""Stands for the registry's; its value changes nothing that is measured."""
STRING_PASSES = 7
"""Passes in each state of which the fastest counts: the machine does other work."""

RECEIPT_MS = 1_767_787_260_000
LENGTH = struct.Struct("<I")

Record = namedtuple("Record", ("topic", "partition", "offset", "timestamp", "key", "value"))  # noqa: PYI024 - as Faust's


def main() -> None:
    """Measure once for each line of standard input, or write events."""
    tree = Path(sys.argv[1])
    if sys.argv[2] == "--indexes":
        indexes = Indexes(tree)
        for _ in sys.stdin:
            print(json.dumps(indexes.measure([Path(name) for name in sys.argv[3:]])), flush=True)
        return
    if sys.argv[2] == "--strings":
        strings = Strings(tree, json.loads(Path(sys.argv[3]).read_text(encoding="utf-8")))
        for _ in sys.stdin:
            print(json.dumps(strings.measure()), flush=True)
        return
    events_file = Path(sys.argv[2])
    if len(sys.argv) > 3:
        options = find(tree, "WorkloadOptions")(events=int(sys.argv[3]))
        write_events(events_file, find(tree, "Workload")(options).events())
        return
    events = list(read_events(events_file))
    steps = Steps(tree)
    for _ in sys.stdin:
        print(json.dumps(steps.measure(events)), flush=True)


def read_events(file: Path) -> Iterator[bytes]:
    """Events of a file that `write_events` has written."""
    content = file.read_bytes()
    at = 0
    while at < len(content):
        (length,) = LENGTH.unpack_from(content, at)
        yield content[at + LENGTH.size : at + LENGTH.size + length]
        at += LENGTH.size + length


def write_events(file: Path, events: Iterator[bytes]) -> None:
    """Each event behind its length."""
    with file.open("wb") as out:
        for event in events:
            out.write(LENGTH.pack(len(event)) + event)


def find(tree: Path, *names: str) -> Any:
    """What the one module that defines one of `names` has under it. Raises LookupError if none or several do."""
    line = re.compile(rf"^(?:class |def )?({'|'.join(names)})(?:\(|:| =)", re.MULTILINE)
    paths = [path for folder in ("agents", "app", "schemas") for path in (tree / folder).rglob("*.py")]
    found = {path: match[1] for path in paths if (match := line.search(path.read_text(encoding="utf-8")))}
    if len(found) != 1:
        raise LookupError(f"{len(found)} modules of {tree} define {' or '.join(names)}: {sorted(map(str, found))}")
    [(path, name)] = found.items()
    return getattr(importlib.import_module(".".join(path.relative_to(tree).with_suffix("").parts)), name)


class Indexes:
    """Builds symbol indexes as the reading process does (app/symbols/reader.py), without debug information."""

    def __init__(self, tree: Path) -> None:
        self._build, self._encode = find(tree, "build_index"), find(tree, "encode_index")
        self._options = {"with_dwarf": False} if "with_dwarf" in inspect.signature(self._build).parameters else {}
        gc.disable()

    def measure(self, files: Sequence[Path]) -> dict[str, dict[str, Any]]:
        """CPU in ms, and a digest of the index, by file."""
        figures: dict[str, float] = {}
        digests: dict[str, str] = {}
        for file in files:
            start = time.process_time()
            index = self._encode(self._build(file, None, with_lines=False, **self._options))
            figures[file.name] = (time.process_time() - start) * 1e3
            digests[file.name] = hashlib.sha256(index).hexdigest()
        return {"figures": figures, "digests": digests}


class Strings:
    """Redacts argument strings under the default choices."""

    def __init__(self, tree: Path, sets: Mapping[str, Sequence[Sequence[str]]]) -> None:
        policy = find(tree, "built_in_policy")("default")
        choices = policy.choices if hasattr(policy, "choices") else policy.rules
        engine = find(tree, "RedactionEngine")
        self._sets = {name: (engine(choices), lines) for name, lines in sets.items()}
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 10, 10)
        self.measure()  # warms the automata

    def measure(self) -> dict[str, dict[str, Any]]:
        """CPU in µs for one string, and a digest of the texts: of strings seen first ("cold"), and again ("warm")."""
        figures: dict[str, float] = {}
        digests: dict[str, str] = {}
        for name, (engine, lines) in self._sets.items():
            best: dict[str, float] = {}
            texts: list[str] = []
            for _ in range(STRING_PASSES):
                engine.forget()
                for state in ("cold", "warm"):
                    start = time.process_time()
                    texts = [engine.arguments(binary, text, truncated=False).text for binary, text in lines]
                    spent = (time.process_time() - start) / len(lines) * 1e6
                    best[state] = min(best.get(state, spent), spent)
            for state, spent in best.items():
                figures[f"{name}, {state}"] = spent
                digests[f"{name}, {state}"] = hashlib.sha256("\n".join(texts).encode()).hexdigest()
        return {"figures": figures, "digests": digests}


class Steps:
    """The three pure steps of one commit under default settings."""

    def __init__(self, tree: Path) -> None:
        records = importlib.import_module("schemas.records")
        place_fields = find(tree, "PLACE_FIELDS")
        self._layout = find(tree, "CallLayout")(SCHEMA_ID, json.loads(records.schema_text(records.CALL)), place_fields)
        self._settings = importlib.import_module("app.settings").Settings()
        self._canonicalize = find(tree, "canonicalize_step")
        self._privacy = find(tree, "privacy_step")
        self._reader, self._counter = find(tree, "CallReader"), find(tree, "SymbolCounter")

    def measure(self, events: Sequence[bytes]) -> dict[str, dict[str, Any]]:
        """CPU in µs for one event, and a digest of the outputs, by step and pass."""
        figures: dict[str, float] = {}
        digests: dict[str, str] = {}
        canonicalize = self._canonicalize(self._settings)
        privacy = self._privacy(self._settings, SCHEMA_ID)
        counter = self._counter(self._reader({SCHEMA_ID: self._layout}.get).gather, PARTITIONS)
        gc.collect()
        gc.freeze()  # as a stage does: what is alive when it starts is never looked at again
        gc.set_threshold(50_000, 10, 10)
        for number, name in enumerate(("first time", "again")):
            raw = [
                Record("raw", PARTITION, number * len(events) + at, RECEIPT_MS, b"key", event)
                for at, event in enumerate(events)
            ]
            canonical = self._timed(f"canonicalize, {name}", figures, digests, raw, _outputs_of(canonicalize))
            between = [raw[0]._replace(topic="canonical", offset=at, value=value) for at, value in enumerate(canonical)]
            calls = self._timed(f"privacy, {name}", figures, digests, between, _outputs_of(privacy))
            last = [raw[0]._replace(topic="calls", offset=at, value=value) for at, value in enumerate(calls)]
            self._timed(f"count, {name}", figures, digests, last, _counts_of(counter))
        gc.unfreeze()
        return {"figures": figures, "digests": digests}

    @staticmethod
    def _timed(
        name: str,
        figures: dict[str, float],
        digests: dict[str, str],
        records: Sequence[Record],
        work: Callable[[Sequence[Record]], list[bytes]],
    ) -> list[bytes]:
        start = time.process_time()
        found = work(records)
        figures[name] = (time.process_time() - start) / len(records) * 1e6
        digests[name] = hashlib.sha256(b"".join(found)).hexdigest()
        return found


def _outputs_of(step: Any) -> Callable[[Sequence[Record]], list[bytes]]:
    """Run a step over records, a batch at a time, and return the values that it puts out."""

    def work(records: Sequence[Record]) -> list[bytes]:
        batches = (records[at : at + BATCH] for at in range(0, len(records), BATCH))
        return [out.value for batch in batches for out in step(batch).outputs]

    return work


def _counts_of(counter: Any) -> Callable[[Sequence[Record]], list[bytes]]:
    """Count all calls and flush once, into a table that is empty before; return the partials."""

    def work(records: Sequence[Record]) -> list[bytes]:
        for at in range(0, len(records), BATCH):
            counter.absorb(PARTITION, records[at : at + BATCH])
        flush = counter.flush(PARTITION, lambda keys: [None] * len(keys))
        counter.acknowledged(flush)
        return [out.value or b"" for number in sorted(flush.partials) for out in flush.partials[number]]

    return work


if __name__ == "__main__":
    main()
