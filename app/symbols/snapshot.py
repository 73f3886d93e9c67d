"""A symbol store at one moment: a sorted list of named objects, and the digest that names it.

    folder/format                the line "callstream symbol store 1"
    folder/current               digest of the snapshot in use
    folder/snapshots/<digest>    one line an object: kind, key, digest, separated by tabs; sorted
    folder/objects/<digest>      the objects; a file is never changed once it is there

An `index` is one binary's symbols, its key a build id. `modules` maps paths to build ids, its key a scope: `image:ID`
or `node:NAME`. `kernel` maps symbols to kernel modules, its key a scope too; names of nodes may hold `*` and `?`. For a
build id, `codes` says that files with different code share it, `layouts` where further files have the same code, and
`packages` what its files were built from. Of an image, `packages` are those that a bill of materials has for no file.

The store's digest is that of the snapshot's text, so it does not depend on the order in which things were added, and it
names every byte that an answer can depend on. Old snapshots stay: a replay of last year's events asks for last year's.
"""

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from app.operators.errors import OperatorError

FORMAT_LINE: Final = "callstream symbol store 1\n"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
CURE: Final = "restore it, or have the store's file `current` name an earlier snapshot"
_BUILD_ID: Final = re.compile(r"[0-9a-f]{16,256}")


class SymbolStoreError(OperatorError):
    """The folder is not a symbol store, or its content is damaged; the message says which file."""


class ObjectKind(enum.Enum):
    """Kinds of objects; values are what stands in a snapshot."""

    INDEX = "index"
    MODULES = "modules"
    KERNEL = "kernel"
    CODES = "codes"
    LAYOUTS = "layouts"
    PACKAGES = "packages"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One object of a snapshot."""

    kind: str
    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A store's content at one moment."""

    entries: tuple[Entry, ...] = ()

    @property
    def text(self) -> str:
        """What is written down, and what the digest is of."""
        return "".join(f"{entry.kind}\t{entry.key}\t{entry.digest}\n" for entry in sorted(self.entries))

    @property
    def digest(self) -> str:
        """SHA-256 of the text, lower hex."""
        return sha256(self.text.encode()).hexdigest()

    def of_kind(self, kind: ObjectKind) -> dict[str, str]:
        """Digests of the objects of one kind by key."""
        return {entry.key: entry.digest for entry in self.entries if entry.kind == kind.value}

    def with_entry(self, kind: ObjectKind, key: str, digest: str) -> "Snapshot":
        """With an object added or replaced. Raises ValueError if the key does not fit the kind."""
        if not is_key(kind, key):
            raise ValueError(f"{key!r} is not a key of {kind.value}")
        others = (entry for entry in self.entries if (entry.kind, entry.key) != (kind.value, key))
        return Snapshot(tuple(sorted([*others, Entry(kind.value, key, digest)])))


def is_key(kind: ObjectKind, key: str) -> bool:
    """Whether `key` can name an object of this kind."""
    if kind in {ObjectKind.INDEX, ObjectKind.CODES, ObjectKind.LAYOUTS, ObjectKind.PACKAGES}:
        is_build_id = _BUILD_ID.fullmatch(key) is not None
        if is_build_id or kind is not ObjectKind.PACKAGES:
            return is_build_id
    scope, _, name = key.partition(":")
    return scope in {"image", "node"} and bool(name) and not any(c in key for c in "\t\r\n")


def parse_snapshot(text: str) -> Snapshot:
    """The snapshot that was written as `text`. Raises SymbolStoreError."""
    snapshot = Snapshot(tuple(_entries(text.split("\n")[:-1])))
    if snapshot.text != text:
        raise SymbolStoreError("a snapshot is not in the form in which they are written")
    return snapshot


def _entries(lines: Iterable[str]) -> Iterable[Entry]:
    kinds = {kind.value: kind for kind in ObjectKind}
    for line in lines:
        kind, _, rest = line.partition("\t")
        key, _, digest = rest.rpartition("\t")
        if kind not in kinds or not is_key(kinds[kind], key) or _DIGEST.fullmatch(digest) is None:
            raise SymbolStoreError("a snapshot has a line that is not an object")
        yield Entry(kind, key, digest)


def object_path(folder: Path, digest: str) -> Path:
    """Where an object is kept."""
    return folder / "objects" / digest


def snapshot_path(folder: Path, digest: str) -> Path:
    """Where a snapshot is kept."""
    return folder / "snapshots" / digest


def is_store(folder: Path) -> bool:
    """Whether there is a symbol store in `folder`, of this version or another."""
    return (folder / "format").exists()


def read_snapshot(folder: Path, digest: str | None = None) -> Snapshot:
    """The snapshot `digest` of the store in `folder`, or the current one. Raises SymbolStoreError."""
    try:
        if (folder / "format").read_text() != FORMAT_LINE:
            raise SymbolStoreError(f"{folder} is a symbol store of another version")
        wanted = digest if digest is not None else (folder / "current").read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SymbolStoreError(f"{folder} is not a symbol store; `callstream symbols add` makes one") from error
    if digest is None and _DIGEST.fullmatch(wanted) is None:
        raise SymbolStoreError(f"{folder / 'current'} is damaged: have it name one of {folder / 'snapshots'}")
    if _DIGEST.fullmatch(wanted) is None:  # it may be a stranger's, and would be a path
        raise SymbolStoreError(f"{folder} has no such snapshot: its name would be 64 lower hex digits")
    path = snapshot_path(folder, wanted)
    try:
        snapshot = parse_snapshot(path.read_text())
    except OSError as error:
        raise SymbolStoreError(f"{folder} has no such snapshot: {wanted}") from error
    except (UnicodeDecodeError, SymbolStoreError) as error:
        raise SymbolStoreError(f"{path} is damaged: {error}; {CURE}") from error
    if snapshot.digest != wanted:
        raise SymbolStoreError(f"{path} is damaged: its name is another one's; {CURE}")
    return snapshot


def snapshot_digests(folder: Path) -> tuple[str, ...]:
    """Digests of all snapshots of the store in `folder`, the current one first. Raises SymbolStoreError."""
    current = read_snapshot(folder).digest
    names = {path.name for path in (folder / "snapshots").iterdir() if _DIGEST.fullmatch(path.name)}
    return (current, *sorted(names - {current}))
