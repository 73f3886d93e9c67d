"""What loader events said about the files that one process has mapped, as each event of the process sees it.

An entry holds for the events behind its loader event, and where something ended it (another build under its path, or
the process was forgotten) for those up to the record that did; so what an event sees depends on its offset, never on
what was read since. Rows hold digests of paths, because a path may name a person.

A mapped file may have been unlinked since, and another one of its path mapped. Frames tell the two apart by a note of
the kernel. So an entry says whether its process had another build under this path before (`ANOTHER`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from sys import intern
from typing import Final, NamedTuple

from agents.canonicalize.identity import digest
from schemas.node import NodeId, node_of_text

_PATH_DOMAIN: Final = b"callstream.module\x00"
# A node maps a few thousand distinct files of some 60 characters each.
_CACHED_DIGESTS: Final = 8_192


ANOTHER: Final = "!"
"""Stands behind a build id if its process has mapped another build under this path before."""


def deleted(digest_of_path: str) -> str:
    """The name of a file that was unlinked already when it was mapped, from the digest of its path."""
    return f"{digest_of_path}-"


class Loaded(NamedTuple):
    """One loader event. `offset` is its raw record's, `until` that of the record which ended it."""

    offset: int
    path_digest: str
    build_id: str
    until: int | None = None

    def holds_at(self, offset: int) -> bool:
        """Whether the event at `offset` sees it."""
        return self.offset < offset and (self.until is None or offset <= self.until)


@dataclass(frozen=True, slots=True, eq=False)
class ModuleSet:
    """Build ids by digest of path. Compared by identity: one set is made once (contexts.py)."""

    build_ids: Mapping[str, str]


@dataclass(slots=True)
class ProcessModules:
    """The entries of one process in the order of their offsets, and the offset of its exit event.

    `changed` is the highest offset that an entry begins or ends at. Every event behind it sees `current`: build ids by
    digest of path. `latest` may hold that as a set.
    """

    loaded: list[Loaded] = field(default_factory=list)
    ended: int | None = None
    changed: int = -1
    current: dict[str, str] = field(default_factory=dict)
    latest: ModuleSet | None = None

    def seen_at(self, offset: int) -> Mapping[str, str]:
        """Build ids by digest of path, as the event at `offset` sees them."""
        if offset > self.changed:
            return self.current
        return {entry.path_digest: entry.build_id for entry in self.loaded if entry.holds_at(offset)}

    def has(self, offset: int) -> bool:
        """Whether the loader event at `offset` has an entry already."""
        return offset <= self.changed and any(entry.offset == offset for entry in self.loaded)

    def add(self, added: Loaded) -> None:
        """Add an entry, which ends the one of its path before it, and is ended by the one behind it."""
        path, offset = added.path_digest, added.offset
        is_last = offset > self.changed
        if not is_last or path in self.current:
            behind = [entry.offset for entry in self.loaded if entry.path_digest == path and entry.offset > offset]
            added = added._replace(until=min(behind, default=None))
            if any(entry.path_digest == path and entry.holds_at(offset) for entry in self.loaded):
                added = _second(added)
            self.loaded = [self._beside(entry, added) for entry in self.loaded]
        self.loaded.append(added)
        if not is_last:
            self.loaded.sort(key=itemgetter(0))
            self.current = {entry.path_digest: entry.build_id for entry in self.loaded if entry.until is None}
        elif added.until is None:
            self.current[path] = added.build_id
        self.changed, self.latest = max(self.changed, offset), None

    @staticmethod
    def _beside(entry: Loaded, added: Loaded) -> Loaded:
        """An entry of before, now that there is another one."""
        if entry.path_digest != added.path_digest:
            return entry
        if entry.holds_at(added.offset):
            return entry._replace(until=added.offset)
        return _second(entry) if entry.offset > added.offset else entry

    def forget(self, offset: int) -> None:
        """End every entry at `offset`."""
        self.loaded = [entry if entry.until is not None else entry._replace(until=offset) for entry in self.loaded]
        self.changed, self.current, self.latest = max(self.changed, offset), {}, None

    def drop_ended_before(self, position: int) -> None:
        """Drop the entries that no event from `position` on sees."""
        self.loaded = [entry for entry in self.loaded if entry.until is None or entry.until >= position]


def _second(entry: Loaded) -> Loaded:
    return entry._replace(build_id=entry.build_id.removesuffix(ANOTHER) + ANOTHER)


@lru_cache(maxsize=_CACHED_DIGESTS)
def path_digest(path: str) -> str:
    """What stands for a path in rows: 16 lower hex digits."""
    return digest(_PATH_DOMAIN + path.encode())[:8].hex()


def encode_row(process: ProcessModules) -> bytes:
    """A process as the row that `decode_row` reads."""
    row = {"ended": process.ended, "loaded": [list(entry) for entry in process.loaded]}
    return json.dumps(row, separators=(",", ":")).encode()


def decode_row(row: bytes) -> ProcessModules:
    """The process of a row. Raises ValueError where the bytes are not a row."""
    try:
        read = json.loads(row)
        # interned, for thousands of processes have the same files
        loaded = [Loaded(at, intern(path), intern(build_id), until) for at, path, build_id, until in read["loaded"]]
        ended: int | None = read["ended"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError("a row of the modules table is not in the form that this version writes") from error
    ends = [entry.until for entry in loaded if entry.until is not None]
    changed = max([entry.offset for entry in loaded] + ends, default=-1)
    current = {entry.path_digest: entry.build_id for entry in loaded if entry.until is None}
    return ProcessModules(loaded, ended, changed, current)


def encode_row_key(node: NodeId, process_id: str) -> bytes:
    """Key of a process's row; `decode_row_key` reads it."""
    return f"{process_id} {node}".encode()


def decode_row_key(key: bytes) -> tuple[NodeId, str]:
    """The node and process of a row's key. Raises ValueError where the bytes are no such key."""
    process_id, space, node = key.decode().partition(" ")
    if not space:
        raise ValueError("a row of the modules table has a key that this version does not write")
    return node_of_text(node), process_id


def rows_before(rows: Iterable[tuple[bytes, bytes]], offset: int) -> Iterable[tuple[bytes, bytes]]:
    """What rows said before the record at `offset`, as far as they still do; rows with nothing to say are left out."""
    for key, row in rows:
        process = decode_row(row)
        kept = [entry._replace(until=None) for entry in process.loaded if entry.holds_at(offset)]
        if kept:
            ended = process.ended if process.ended is not None and process.ended < offset else None
            yield key, encode_row(ProcessModules(kept, ended))
