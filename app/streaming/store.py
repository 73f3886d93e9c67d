"""The rows of one table partition on local disk, in RocksDB: a cache of its changelog that can always be rebuilt.

Rows and their changelog offset are written together or not at all. What cannot be read as it was written raises; it
never reads as absent. A damaged folder is removed and starts empty. A folder that belongs to a deleted changelog is
set aside. A folder that another process holds is an error.
"""

import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import cast

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch

from app.processes.folder_lock import FolderUnusableError

log = logging.getLogger(__name__)

Rows = Mapping[bytes, bytes | None]
"""Rows to write by key; None removes a row."""

LOCK_WAIT_SECONDS = 5.0
"""A process that was just killed lets go of its lock within moments; another worker never does."""

META_PREFIX = b"\x00callstream\x00"
"""Prefix of our own keys; the rows' keys are text or digests and never begin with a zero byte."""

_OFFSET, _CHANGELOG = META_PREFIX + b"offset", META_PREFIX + b"changelog"
_CONDEMNED = "condemned"

_SIGNS_OF_DAMAGE = ("Corruption", "No such file or directory", "Invalid argument", "Not implemented")
"""What RocksDB says, when it opens a folder, of files that are damaged or that a partial restore left out."""
_TOO_MANY_FILES = "Too many open files"

BLOCK_CACHE_BYTES = 64 << 20
"""For all partitions of a process together: what is read often is in there, whosever it is."""
WRITE_BUFFER_BYTES = 4 << 20
"""For each partition of a table, twice while one is written out: a worker may have a dozen partitions, and what they
hold is what the process grows by in its first hour. Faust's defaults (2 GiB, 64 MiB) do not fit beside a broker."""


class StoreDamagedError(Exception):
    """Local state is damaged; it is rebuilt from the changelog when the folder is opened next."""


class PartitionStore:
    """Rows of one partition. `changelog` names the changelog topic's incarnation (its id), `folder` is ours alone."""

    def __init__(self, folder: Path, changelog: str) -> None:
        """Open or create.

        Raises FolderUnusableError when another process holds the folder, OSError when it cannot be written.
        """
        self._folder = folder
        if (folder / _CONDEMNED).exists():
            self._remove("it was found damaged before")
        try:
            self._db, known = _open(folder)
        except _CorruptError as error:
            self._remove(str(error))
            self._db, known = _open(folder)
        if known is not None and known != changelog.encode():
            self.close()
            self._set_aside()
            self._db, known = _open(folder)
        if known is None:
            self._keep(changelog.encode())

    def _remove(self, reason: str) -> None:
        log.warning("removing local state, to rebuild it: %s", reason, extra={"facts": {"folder": str(self._folder)}})
        shutil.rmtree(self._folder)

    def _set_aside(self) -> None:
        """Keep the only copy of a deleted changelog's rows for an operator; one, the last."""
        aside = self._folder.with_name(f"{self._folder.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        self._folder.rename(aside)
        log.warning(
            "the changelog topic was deleted and created again; local state is set aside",
            extra={"facts": {"folder": str(aside)}},
        )

    @property
    def offset(self) -> int | None:
        """Offset of the last changelog record that the rows include, or None."""
        raw = self.read([_OFFSET])[0]
        return None if raw is None else int.from_bytes(raw, "big")

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Rows by key, None for a key without a row. Raises StoreDamagedError; OSError where files cannot be opened."""
        try:
            return cast("list[bytes | None]", self._db.get(list(keys)))
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more precise
            if _TOO_MANY_FILES in str(error):
                raise OSError(f"state folder {self._folder} cannot be read: {error}") from None
            raise self._condemn(error) from None

    def write(self, changes: Iterable[tuple[bytes, bytes | None]], offset: int) -> None:
        """Write rows and the changelog offset that they include, atomically; later changes of a key win.

        Raises OSError when the disk refuses, StoreDamagedError when RocksDB finds its files damaged.
        """
        batch = WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(_OFFSET, offset.to_bytes(8, "big"))
        try:
            self._db.write(batch)
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more precise
            if "Corruption" not in str(error):
                raise OSError(f"state folder {self._folder} cannot be written: {error}") from None
            raise self._condemn(error) from None

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All rows in the order of their keys. Raises StoreDamagedError, at the latest after the last whole row."""
        rows = self._db.iter()
        rows.seek(META_PREFIX + b"\xff")
        while rows.valid():
            yield rows.key(), rows.value()
            rows.next()
        try:
            rows.status()  # the iterator itself just stops at a damaged block
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more precise
            raise self._condemn(error) from None

    def clear(self) -> None:
        """Remove everything and start empty, to be rebuilt from the start of the changelog."""
        changelog = self.read([_CHANGELOG])[0]
        assert changelog is not None
        self.close()
        self._remove("it is ahead of its changelog")
        self._db, _ = _open(self._folder)
        self._keep(changelog)

    def close(self) -> None:
        """Release the folder. What the disk refuses to take then is in the changelog."""
        try:
            self._db.close()
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more precise
            log.warning(
                "local state was not closed in order: %s", error, extra={"facts": {"folder": str(self._folder)}}
            )

    def _keep(self, changelog: bytes) -> None:
        """Keep whose rows these are. Raises OSError."""
        try:
            self._db.put(_CHANGELOG, changelog)
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more precise
            raise OSError(f"state folder {self._folder} cannot be written: {error}") from None

    def _condemn(self, error: Exception) -> StoreDamagedError:
        """Have the next start remove the folder, as far as the disk takes that note."""
        with suppress(OSError):
            (self._folder / _CONDEMNED).touch()
        return StoreDamagedError(f"state folder {self._folder}: {error}")


class _CorruptError(Exception):
    """RocksDB refuses to open the folder."""


def _open(folder: Path) -> tuple[Rdict, bytes | None]:
    """The rows of a folder, and whose they are. Raises _CorruptError, FolderUnusableError and OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            found = Rdict(str(folder), options=_options())
            return found, cast("bytes | None", found.get(_CHANGELOG))
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more precise
            text = str(error)
            if any(sign in text for sign in _SIGNS_OF_DAMAGE):
                raise _CorruptError(text) from None
            if "lock" not in text.lower():
                raise OSError(f"state folder {folder} cannot be opened: {text}") from None
            if time.monotonic() > deadline:
                raise FolderUnusableError(f"state folder {folder} is held by another process") from None
            time.sleep(0.2)


@cache
def _shared_cache() -> Cache:
    return Cache(BLOCK_CACHE_BYTES)


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_max_open_files(256)
    blocks = BlockBasedOptions()
    blocks.set_block_cache(_shared_cache())
    blocks.set_bloom_filter(10, block_based=False)
    options.set_block_based_table_factory(blocks)
    return options
