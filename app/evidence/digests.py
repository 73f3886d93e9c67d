"""Digests of records: they do not depend on how records were cut into batches, and begin at fixed offsets.

A partition's raw offsets are divided into spans of `SPAN_OFFSETS`, always at the same offsets. Each span has digests of
its input and output. So two runs can be compared span by span, and a difference is located, whichever process ran which
part. Records are digested in the order of raw positions, so the order in which they were produced does not matter.

All digests are SHA-256. Each covers a domain, a text that names what is digested, so that a digest of one kind cannot
pass for another. Numbers are 8 bytes, big-endian.
"""

import hashlib
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

SPAN_OFFSETS: Final = 4_096
"""A difference is located to this many events, about 8 MB; a span's line has about 500 bytes."""

_NO_BYTES: Final = -1
"""The size that stands for a null key or value, to tell it from an empty one."""


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


@dataclass(frozen=True, slots=True)
class CountedDigest:
    """How many records or dead letters, and the digest over them."""

    count: int
    digest: str


class RecordDigest:
    """Digest of records in order, however they are divided among calls of `add`."""

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

    def counted(self) -> CountedDigest:
        """Digest of all records so far, with their number."""
        return CountedDigest(self.count, self.hexdigest())


class TextDigest:
    """Digest of lines in order, for dead letters."""

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

    def counted(self) -> CountedDigest:
        """Digest of all lines so far, with their number."""
        return CountedDigest(self.count, self.hexdigest())


class Chain:
    """A rolling chain over digests: each link covers all before it, so the head covers the whole history."""

    def __init__(self, domain: str) -> None:
        self._head = hashlib.sha256(domain.encode()).digest()

    def add(self, number: int, digest: str) -> str:
        """Append a span's digest under its number; returns the new head."""
        self._head = _joined((self._head, number.to_bytes(8, "big"), bytes.fromhex(digest)))
        return self.head

    @property
    def head(self) -> str:
        """The chain's present value, 64 lower hex digits."""
        return self._head.hex()


def span_of(offset: int) -> int:
    """Number of the span that holds a raw offset."""
    return offset // SPAN_OFFSETS


def span_start(number: int) -> int:
    """First offset of a span."""
    return number * SPAN_OFFSETS


def body_digest(key: bytes | None, timestamp_ms: int, body: bytes | None) -> bytes:
    """Digest of one record without its position, 16 bytes: for comparing its copies one by one."""
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
