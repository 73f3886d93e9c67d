"""Digests of records: the same for the same records however they were cut into batches, and split at fixed places.

A partition's raw offsets are divided into spans of `SPAN_OFFSETS`, always at the same offsets. What goes in and what
comes out is digested for each span, so two runs are compared span by span, whoever ran which part of them, and a
difference has a place. Records are digested in the order of their raw position, so the order in which they were
produced, or repeated, means nothing.

Rules: SHA-256 throughout; every digest names what it is of (its domain), so that none can stand for another; numbers
are 8 bytes, big-endian. This module refuses to know where records come from.
"""

import hashlib
import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final, NamedTuple

SPAN_OFFSETS: Final = 4_096
"""A difference is narrowed to this many events, some 8 MB of them; a span's entry has some 500 bytes."""

_NO_BYTES: Final = -1
"""Size of a key or value that is null, which is not the same as an empty one."""


class Columns(NamedTuple):
    """Records of one partition, column by column: raw offsets, Kafka timestamps in ms, keys, and values or bodies."""

    offsets: Sequence[int]
    timestamps_ms: Sequence[int]
    keys: Sequence[bytes | None]
    bodies: Sequence[bytes | None]

    def part(self, begin: int, end: int) -> "Columns":
        """Records number `begin` to before `end`."""
        return Columns(
            self.offsets[begin:end], self.timestamps_ms[begin:end], self.keys[begin:end], self.bodies[begin:end]
        )


NO_RECORDS: Final = Columns((), (), (), ())


class RecordDigest:
    """Digest of records in order; `add` may get them in any portions."""

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self._numbers = hashlib.sha256()
        self._contents = hashlib.sha256()
        self.count = 0

    def add(self, records: Columns) -> None:
        """Take the next records."""
        offsets, timestamps_ms, keys, bodies = records
        key_sizes, key_texts = _sizes(keys)
        body_sizes, body_texts = _sizes(bodies)
        rows = zip(offsets, timestamps_ms, key_sizes, body_sizes, strict=True)
        self._numbers.update(_big_endian(chain.from_iterable(rows)))
        self._contents.update(b"".join(chain.from_iterable(zip(key_texts, body_texts, strict=True))))
        self.count += len(offsets)

    def hexdigest(self) -> str:
        """Digest of all records so far, as 64 lower hex digits."""
        own = (self._domain.encode(), self.count.to_bytes(8, "big"), self._numbers.digest(), self._contents.digest())
        return _joined(own).hex()


class TextDigest:
    """Digest of lines in order: of dead letters, which are words and positions."""

    def __init__(self, domain: str) -> None:
        self._hash = hashlib.sha256(domain.encode() + b"\x00")
        self.count = 0

    def add(self, lines: Iterable[str]) -> None:
        """Take the next lines."""
        for line in lines:
            self._hash.update(line.encode() + b"\n")
            self.count += 1

    def hexdigest(self) -> str:
        """Digest of all lines so far."""
        return self._hash.hexdigest()


class Chain:
    """A rolling chain over digests: each link covers everything before it, so one value stands for a whole history."""

    def __init__(self, domain: str) -> None:
        self._head = hashlib.sha256(domain.encode()).digest()

    def add(self, number: int, digest: str) -> str:
        """Append a span's digest under its number; returns the new head."""
        self._head = _joined((self._head, number.to_bytes(8, "big"), bytes.fromhex(digest)))
        return self.head

    @property
    def head(self) -> str:
        """What stands for everything so far."""
        return self._head.hex()


def span_of(offset: int) -> int:
    """Number of the span that holds a raw offset."""
    return offset // SPAN_OFFSETS


def span_start(number: int) -> int:
    """First offset of a span."""
    return number * SPAN_OFFSETS


def body_digest(key: bytes | None, timestamp_ms: int, body: bytes | None) -> bytes:
    """Digest of one record without its position, 16 bytes: for comparing copies of it one by one."""
    hashed = hashlib.blake2b(b"%d %d " % (timestamp_ms, _NO_BYTES if key is None else len(key)), digest_size=16)
    hashed.update(key or b"")
    hashed.update(b"" if body is None else b"\x01" + body)
    return hashed.digest()


def _sizes(values: Sequence[bytes | None]) -> tuple[Iterable[int], Iterable[bytes]]:
    if None not in values:
        whole: Sequence[bytes] = values  # type: ignore[assignment]  # the line above has looked
        return map(len, whole), whole
    return [_NO_BYTES if value is None else len(value) for value in values], [value or b"" for value in values]


def _big_endian(numbers: Iterable[int]) -> "array[int]":
    found = array("q", numbers)
    if sys.byteorder == "little":
        found.byteswap()
    return found


def _joined(parts: Iterable[bytes]) -> bytes:
    """Digest of parts with their sizes, so that no two lists of parts are the same bytes."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.digest()
