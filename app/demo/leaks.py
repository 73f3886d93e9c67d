"""Proves that no planted secret left the topics of unfiltered events: everything else is searched, byte by byte.

It searches all other topics of the broker, the state folder, every row of every table in it (the files are compressed),
every log file and every web page. A place that cannot be read is an error. The beginning of the unfiltered topics is
searched too: it must hold secrets, which proves that the search works.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import urllib3
from rocksdict import AccessType, Options, Rdict

from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from schemas import topics

Search = Callable[[bytes], list[str]]
"""Finds planted secrets in bytes; returns the fields in which they were planted."""

_PAGES: Final = ("metrics", "healthz", "readyz")

_PROOF_RECORDS: Final = 5_000
"""Records of each unfiltered topic that are searched: secrets are expected there, and each is slow to decode."""

_TABLE_FILE: Final = "CURRENT"
"""Every RocksDB folder has a file of this name."""

_UNFILTERED: Final = frozenset({topics.RAW, topics.CANONICAL})


@dataclass(frozen=True, slots=True)
class Searched:
    """How many records, files, tables' rows and pages were searched, and the leaks that were found.

    `proof` is the number of planted secrets that the search found in the unfiltered topics.
    """

    records: int
    files: int
    rows: int
    pages: int
    found: tuple[str, ...]
    proof: int


def search(settings: Settings, search_bytes: Search, *, files: Iterable[Path], pages: Iterable[str]) -> Searched:
    """Search everything; `pages` are addresses of processes, HOST:PORT.

    Raises what `TopicReader` raises, OSError, urllib3's HTTPError or RocksDB's error for what cannot be read.
    """
    found: list[str] = []
    records = 0
    proof: set[str] = set()
    unfiltered = Counter[str]()
    for topic, content in _records(settings):
        if topic in _UNFILTERED:
            unfiltered[topic] += 1
            if unfiltered[topic] <= _PROOF_RECORDS:
                proof.update(search_bytes(content))
            continue
        records += 1
        found += [f"topic {topic}: {place}" for place in search_bytes(content)]
    searched_files = rows = 0
    for path in files:
        searched_files += 1
        found += [f"file {path.name}: {place}" for place in search_bytes(path.read_bytes())]
        for row in _rows(path.parent) if path.name == _TABLE_FILE else ():
            rows += 1
            found += [f"table {path.parent.name}: {place}" for place in search_bytes(row)]
    addresses = [f"http://{process}/{page}" for process in pages for page in _PAGES]
    for address in addresses:
        content = urllib3.request("GET", address, timeout=10.0).data
        found += [f"page {address}: {place}" for place in search_bytes(content)]
    return Searched(records, searched_files, rows, len(addresses), tuple(dict.fromkeys(found)), len(proof))


def _rows(folder: Path) -> Iterator[bytes]:
    """Key and value of every row of a table, beside the process that has it open."""
    table = Rdict(str(folder), Options(raw_mode=True), access_type=AccessType.read_only())
    try:
        for row in table.items():
            yield b"\n".join(cast("tuple[bytes, bytes]", row))
    finally:
        table.close()


def files_below(*folders: Path) -> Iterator[Path]:
    """All files of folders, at any depth."""
    for folder in folders:
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _records(settings: Settings) -> Iterator[tuple[str, bytes]]:
    """Key and value of every record of every topic, with the topic's unprefixed name."""
    with TopicReader(settings) as reader:
        for topic in reader.topics():
            if topic.startswith("__"):
                continue
            name = topic.removeprefix(settings.topic_prefix)
            for record in reader.records(topic):
                yield name, (record.key or b"") + b"\n" + (record.value or b"")
