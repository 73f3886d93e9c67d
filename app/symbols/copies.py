"""Files of one build id: which of them differ, what each gives, and which index is the best.

The choice depends neither on names of files nor on their order. A damaged copy costs only itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.symbols.file_refusal import FileRefusalReason
from app.symbols.index_builder import Probe
from app.symbols.limited_reader import FileRefusal, LimitedReader
from app.symbols.reader import Built
from app.symbols.richness import Richness, richness
from app.symbols.store import open_new_index

# What a file's debug information can do to the process that reads it. Its names are read without it then.
_OVERWHELMED: Final = frozenset(
    {FileRefusalReason.TOO_SLOW, FileRefusalReason.READER_DIED, FileRefusalReason.OVER_LIMIT}
)

Found = tuple[Path, Probe]


@dataclass(frozen=True, slots=True)
class BuiltCopy:
    """One copy, the index file that was built of it, and what is missing in that."""

    path: Path
    probe: Probe
    built: Built
    index: Path
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BadCopy:
    """A copy of which no index could be built."""

    path: Path
    probe: Probe
    refusal: FileRefusal


def distinct(files: Sequence[Found], reader: LimitedReader) -> dict[Path, Path]:
    """For each file, the first in order that has the same content; a file that cannot be read is like no other."""
    if len(files) < 2:
        return {path: path for path, _ in files}
    first_of: dict[str, Path] = {}
    same: dict[Path, Path] = {}
    for path, _ in files:
        content = reader.content_digest(path)
        same[path] = path if isinstance(content, FileRefusal) else first_of.setdefault(content, path)
    return same


class CopyBuilder:
    """Builds the index of a copy, with the debug information that can be read."""

    def __init__(self, reader: LimitedReader, folder: Path, *, with_lines: bool) -> None:
        """`folder` is where index files are put."""
        self._reader = reader
        self._folder = folder
        self._with_lines = with_lines
        self._built = 0

    def build(self, found: Found, debug_paths: Sequence[Path], notes: Iterable[str]) -> BuiltCopy | BadCopy:
        """The richest index of a file, with one of these debug files or without."""
        path, probe = found
        lost = list(notes)
        sound: list[BuiltCopy] = []
        for debug_path in debug_paths:
            built = self._attempt(path, debug_path, lost)
            if isinstance(built, FileRefusal):
                lost.append(f"without its debug file: {_words(built)}")
            else:
                sound.append(BuiltCopy(path, probe, *built, tuple(lost)))
        if (best := best_copy(sound)) is not None:
            return best
        alone = self._attempt(path, None, lost)
        if isinstance(alone, FileRefusal):
            return BadCopy(path, probe, alone)
        return BuiltCopy(path, probe, *alone, tuple(lost))

    def _attempt(self, path: Path, debug_path: Path | None, lost: list[str]) -> tuple[Built, Path] | FileRefusal:
        self._built += 1
        output = self._folder / f"index-{self._built}"
        built = self._reader.build(path, debug_path, output, with_lines=self._with_lines)
        if isinstance(built, FileRefusal) and built.reason in _OVERWHELMED:
            lost.append(f"without debug information: {_words(built)}")
            built = self._reader.build(path, debug_path, output, with_lines=False, with_dwarf=False)
        if isinstance(built, FileRefusal):
            return built
        lost += built.notes
        return built, output


def best_copy(copies: Sequence[BuiltCopy]) -> BuiltCopy | None:
    """The copy with the richest index; among equals the one whose index has the least digest.

    Raises SymbolStoreError if the reading process wrote something else than an index.
    """
    if len(copies) < 2:  # then its index need not be opened to be compared
        return next(iter(copies), None)
    return max(copies, key=_order)


def _order(copy: BuiltCopy) -> tuple[Richness, int]:
    index, digest = open_new_index(copy.index, copy.built.build_id)
    return richness(index), -int(digest, 16)


def _words(refusal: FileRefusal) -> str:
    return refusal.reason.value
