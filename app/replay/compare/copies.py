"""Compares every published copy of a call with what its raw record gives, however often and in what order copies come.

A replay leaves 16 bytes of digest for each raw offset in a file (`SlotWriter`). Then copies are read in the order of
their topic, and each is looked up by its raw offset. Files are mapped, so that the kernel can take the memory back.

A copy is right if its key, timestamp and body are those of the replay. An offset with a copy is marked, so that calls
that were never published are found too.
"""

import mmap
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.evidence.digests import Columns, body_digest
from app.kafka.records import OffsetRange, Recorded
from app.replay.compare.published import PublishedSchemas, raw_position
from schemas import avro_wire

SLOT_BYTES: Final = 16
_EXPECTED: Final = b"\x01"
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Slots:
    """Files with a partition's digests, and with a byte for each offset that has one."""

    folder: Path
    range: OffsetRange

    @property
    def digests(self) -> Path:
        """16 bytes for each raw offset of the range."""
        return self.folder / f"slots-{self.range.partition:05}"

    @property
    def expected(self) -> Path:
        """One byte for each raw offset of the range: 1 where there is a call."""
        return self.folder / f"expected-{self.range.partition:05}"

    def create(self) -> None:
        """Make both files, empty. Raises OSError."""
        for path, size in ((self.digests, SLOT_BYTES), (self.expected, 1)):
            with path.open("wb") as file:
                file.truncate(self.range.offsets * size)


class SlotWriter:
    """Keeps a digest for each call."""

    def __init__(self, slots: Slots) -> None:
        """Opens the files, which must exist. Raises OSError."""
        self._first = slots.range.first
        self._digests = os.open(slots.digests, os.O_WRONLY)
        self._expected = os.open(slots.expected, os.O_WRONLY)

    def write(self, records: Columns) -> None:
        """Take calls, their values without schema headers; their offsets ascend."""
        if not records.offsets:
            return
        base, count = records.offsets[0], records.offsets[-1] - records.offsets[0] + 1
        digests, expected = bytearray(count * SLOT_BYTES), bytearray(count)
        for offset, timestamp_ms, key, body in zip(*records, strict=True):
            at = offset - base
            digests[at * SLOT_BYTES : (at + 1) * SLOT_BYTES] = body_digest(key, timestamp_ms, body)
            expected[at] = 1
        os.pwrite(self._digests, digests, (base - self._first) * SLOT_BYTES)
        os.pwrite(self._expected, expected, base - self._first)

    def close(self) -> None:
        """Close the files."""
        os.close(self._digests)
        os.close(self._expected)


@dataclass(slots=True)
class CopiesFound:
    """Counts of a partition's copies. `strange` are records that are not calls, `missing` are calls without a copy."""

    copies: int = 0
    calls: int = 0
    differing: int = 0
    strange: int = 0
    missing: int = 0
    first_differing: Recorded | None = None
    first_strange: Recorded | None = None
    first_missing: int | None = None
    elsewhere: int = 0

    def document(self) -> dict[str, Any]:
        """The numbers, as they stand in a manifest."""
        return {
            "copies": self.copies,
            "calls": self.calls,
            "differing": self.differing,
            "strange": self.strange,
            "missing": self.missing,
        }


@dataclass(slots=True)
class CopyCheck:
    """Compares copies with slots."""

    slots: Slots
    schemas: PublishedSchemas
    found: CopiesFound = field(default_factory=CopiesFound)

    def run(self, runs: Iterable[Sequence[Recorded]]) -> CopiesFound:
        """Compare all copies. Raises OSError, and what reading them raises."""
        if not self.slots.range.offsets:
            return self.found
        with (
            self.slots.digests.open("rb") as digests,
            self.slots.expected.open("rb") as expected,
            mmap.mmap(digests.fileno(), 0, access=mmap.ACCESS_READ) as known,
            mmap.mmap(expected.fileno(), 0, access=mmap.ACCESS_READ) as wanted,
            mmap.mmap(-1, self.slots.range.offsets) as seen,
        ):
            for taken in runs:
                for copy in taken:
                    self._compare(copy, known, seen)
            self._count(wanted, seen)
        return self.found

    def _compare(self, copy: Recorded, known: mmap.mmap, seen: mmap.mmap) -> None:
        found, whole = self.found, self.slots.range
        position = raw_position(copy.value, self.schemas)
        if position is None:
            found.strange += 1
            found.first_strange = found.first_strange or copy
            return
        partition, offset = position
        if partition != whole.partition or not whole.first <= offset < whole.next:
            found.elsewhere += 1
            return
        found.copies += 1
        at = offset - whole.first
        seen[at] = 1
        assert copy.value is not None
        digest = body_digest(copy.key, copy.timestamp, copy.value[avro_wire.SCHEMA_HEADER_BYTES :])
        if known[at * SLOT_BYTES : (at + 1) * SLOT_BYTES] != digest:
            found.differing += 1
            found.first_differing = found.first_differing or copy

    def _count(self, wanted: mmap.mmap, seen: mmap.mmap) -> None:
        """Count calls, and those without a copy."""
        found, whole = self.found, self.slots.range
        for begin in range(0, whole.offsets, _CHUNK):
            expected, copied = wanted[begin : begin + _CHUNK], seen[begin : begin + _CHUNK]
            found.calls += expected.count(_EXPECTED)
            if expected == copied:
                continue
            for at, (one, other) in enumerate(zip(expected, copied, strict=True)):
                if one and not other:
                    found.missing += 1
                    if found.first_missing is None:
                        found.first_missing = whole.first + begin + at
