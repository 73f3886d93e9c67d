"""Files of the model of absence: their functions, and stores that hold indexes and maps of some of them.

`LIB` lies at one path in two versions, of which the second replaces the first at `REPLACED_S`; `TOOL` at another. A
third version of LIB is in a container's image that no map describes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from agents.symbols.index_format import NO_COPY, InlinedCopies, NameTrait, SymbolOrigin
from app.symbols.module_maps import MappedFile
from app.symbols.name_maps import node_scope
from app.symbols.snapshot import snapshot_path
from app.symbols.store import SymbolStore
from app.symbols.store_writer import StoreWriter
from tests.support.made_indexes import CODE_START, named_index, put_index

SECOND: Final = 1_000_000_000
START_NS: Final = 1_700_000_000 * SECOND
"""When histories begin, to which times in seconds are relative."""
REPLACED_S: Final = 3_000
LIB, TOOL = "/usr/lib/libmodel.so", "/usr/bin/model-tool"

_CODE_BYTES: Final = 64
NAMES: Final = ("read", "parse", "copy", "scan", "seal", "open", "fold", "walk")


@dataclass(frozen=True, slots=True)
class ModelCode:
    """One code of a file. `inlined` are functions that the compiler put into it."""

    names: tuple[str, ...]
    is_resolver: bool = False
    inlined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One version of a file."""

    path: str
    build_id: str
    codes: tuple[ModelCode, ...]
    knows_copies: bool
    is_indexed: bool
    then: tuple[str | None, ...]
    """What an index of before called each code in frames; None: nothing. It may call code as the code before it."""

    def offset(self, number: int) -> int:
        """Where in the file a code begins."""
        return CODE_START + number * _CODE_BYTES

    def meaning(self, name: str) -> set[int]:
        """The codes that a name means, without those that only choose."""
        return {at for at, code in enumerate(self.codes) if name in code.names and not code.is_resolver}

    def hosts(self, name: str) -> set[int]:
        """The codes that a function was inlined into."""
        return {at for at, code in enumerate(self.codes) if name in code.inlined}

    def chooses(self, name: str) -> bool:
        """Whether what runs under a name is chosen when the file is loaded."""
        return any(code.is_resolver and name in code.names for code in self.codes)

    def has(self, name: str) -> bool:
        """Whether any code is or holds the function."""
        return any(name in code.names or name in code.inlined for code in self.codes)


@dataclass(frozen=True, slots=True)
class ModelStore:
    """A store, and the files of the world that it knows some of."""

    store: SymbolStore
    old: ModelFile
    new: ModelFile
    tool: ModelFile
    older: SymbolStore
    """The same store as it was before, with indexes that know less."""
    is_older_gone: bool
    """Nobody can look into it any more: then a row is what its name says."""
    unmapped: ModelFile
    """At the path of LIB, in an image that no map describes; its build id is in no event."""

    @property
    def files(self) -> Sequence[ModelFile]:
        """All of them."""
        return (self.old, self.new, self.tool, self.unmapped)


def made_store(folder: Path, rng: Random) -> ModelStore:
    """A store with random files."""
    old, new, tool, unmapped = (
        _made_file(rng, path, f"{number:02x}" * 20, is_indexed=number != 4)
        for number, path in enumerate((LIB, LIB, TOOL, LIB), 1)
    )
    stores: list[SymbolStore] = []
    for make in (_older_index, _index):
        with StoreWriter(folder) as writer:
            for file in (old, new, tool):
                if file.is_indexed:
                    put_index(writer, make(file), file.build_id, replace=True)
            for scope in ("n", "m", "east/n", "east/m", "west/n"):
                writer.merge_modules(node_scope(scope), _lying(old, new, tool))
            stores.append(SymbolStore.open(folder, writer.commit()))
    older, store = stores
    is_older_gone = rng.random() < 0.2 and older.digest != store.digest
    if is_older_gone:
        snapshot_path(folder, older.digest).unlink()
    return ModelStore(store, old, new, tool, older, is_older_gone, unmapped)


def _lying(old: ModelFile, new: ModelFile, tool: ModelFile) -> Mapping[str, Sequence[MappedFile]]:
    replaced_ns = START_NS + REPLACED_S * SECOND
    return {
        LIB: [MappedFile(old.build_id), MappedFile(new.build_id, since_ns=replaced_ns)],
        TOOL: [MappedFile(tool.build_id)],
    }


def _made_file(rng: Random, path: str, build_id: str, *, is_indexed: bool) -> ModelFile:
    """A file with up to six codes; a name may mean two of them, and a code may have several names."""
    codes = []
    for _ in range(rng.randint(2, 6)):
        names = tuple(dict.fromkeys(rng.choices(NAMES, k=rng.choice((1, 1, 1, 2, 3)))))
        inlined = tuple({name for name in rng.choices(NAMES, k=rng.choice((0, 0, 0, 0, 0, 0, 1))) if name not in names})
        codes.append(ModelCode(names, rng.random() < 0.04, inlined))
    then: list[str | None] = []
    for at, code in enumerate(codes):
        joins = at > 0 and rng.random() < 0.15
        own = None if at + 1 < len(codes) and rng.random() < 0.15 else rng.choice(code.names)
        then.append(then[-1] if joins else own)
    if not any(then):
        then = [code.names[0] for code in codes]
    knows_copies, is_indexed = rng.random() < 0.6, is_indexed and rng.random() < 0.9
    return ModelFile(path, build_id, tuple(codes), knows_copies, is_indexed, tuple(then))


def _older_index(file: ModelFile) -> bytes:
    """It knows of no copies, and of fewer functions."""
    starts = [file.offset(number) for number in range(len(file.codes))]
    traits = NameTrait.GLOBAL | NameTrait.EXPORTED
    return named_index(
        file.build_id,
        [(start, _CODE_BYTES, name) for start, name in zip(starts, file.then, strict=True) if name],
        [
            (start, _CODE_BYTES, name, NameTrait.GLOBAL | _trait(code) if code.is_resolver else traits)
            for start, code, then in zip(starts, file.codes, file.then, strict=True)
            for name in code.names
            if then in code.names
        ],
        InlinedCopies(functions=len(file.codes)),
        bytes_of_code=len(file.codes) * _CODE_BYTES,
    )


def _index(file: ModelFile) -> bytes:
    placed = [(file.offset(number), code) for number, code in enumerate(file.codes)]
    copies = sorted((name, start + 8) for start, code in placed for name in code.inlined if file.knows_copies)
    count = len(file.codes)
    return named_index(
        file.build_id,
        [(start, _CODE_BYTES, code.names[0]) for start, code in placed],
        [(start, _CODE_BYTES, name, NameTrait.GLOBAL | _trait(code)) for start, code in placed for name in code.names],
        InlinedCopies(
            names=[name for name, _ in copies],
            addresses=[address for _, address in copies],
            outer=[NO_COPY] * len(copies),
            files=[0] * len(copies),
            lines=[0] * len(copies),
            described=count if file.knows_copies else 0,
            functions=count,
        ),
        SymbolOrigin.SYMTAB | (SymbolOrigin.DWARF_INLINES if file.knows_copies else SymbolOrigin(0)),
        bytes_of_code=count * _CODE_BYTES,
    )


def _trait(code: ModelCode) -> NameTrait:
    return NameTrait.RESOLVER if code.is_resolver else NameTrait.EXPORTED
