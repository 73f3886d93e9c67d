"""Files of the model of absence: their functions, and stores that hold indexes and maps of some of them.

`LIB` lies at one path in two versions, of which the second replaces the first at `REPLACED_S`; `TOOL` at another. A
third version of LIB is in a container's image that no map describes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from agents.symbols.index_format import (
    NO_COPY,
    CodeRanges,
    IndexContent,
    InlinedCopies,
    NamedFunctions,
    NameTrait,
    Segment,
    SymbolOrigin,
    encode_index,
)
from app.symbols.module_maps import MappedFile
from app.symbols.name_maps import node_scope
from app.symbols.store import SymbolStore
from app.symbols.store_writer import StoreWriter

SECOND: Final = 1_000_000_000
START_NS: Final = 1_700_000_000 * SECOND
"""When histories begin, to which times in seconds are relative."""
REPLACED_S: Final = 3_000
LIB, TOOL = "/usr/lib/libmodel.so", "/usr/bin/model-tool"

_CODE_BYTES: Final = 64
_FIRST: Final = 4_096
_NAMES: Final = ("read", "parse", "copy", "scan", "seal", "open", "fold", "walk")


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

    def offset(self, number: int) -> int:
        """Where in the file a code begins."""
        return _FIRST + number * _CODE_BYTES

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
    with StoreWriter(folder) as writer:
        for file in (old, new, tool):
            if file.is_indexed:
                path = writer.scratch / file.build_id
                path.write_bytes(encode_index(_content(file)))
                writer.keep_index(path, file.build_id, replace=True)
        for scope in ("n", "m", "east/n", "east/m", "west/n"):
            writer.merge_modules(node_scope(scope), _lying(old, new, tool))
        writer.commit()
    return ModelStore(SymbolStore.open(folder), old, new, tool, unmapped)


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
        names = tuple(dict.fromkeys(rng.choices(_NAMES, k=rng.choice((1, 1, 1, 2, 3)))))
        inlined = tuple(
            {name for name in rng.choices(_NAMES, k=rng.choice((0, 0, 0, 0, 0, 0, 1))) if name not in names}
        )
        codes.append(ModelCode(names, rng.random() < 0.04, inlined))
    return ModelFile(path, build_id, tuple(codes), rng.random() < 0.6, is_indexed and rng.random() < 0.9)


def _content(file: ModelFile) -> IndexContent:
    named = sorted(
        (file.offset(at), name, NameTrait.RESOLVER if code.is_resolver else NameTrait.EXPORTED)
        for at, code in enumerate(file.codes)
        for name in code.names
    )
    copies = sorted(
        (name, file.offset(at) + 8) for at, code in enumerate(file.codes) for name in code.inlined if file.knows_copies
    )
    count = len(file.codes)
    return IndexContent(
        build_id=file.build_id,
        machine=62,
        elf_type=3,
        origins=SymbolOrigin.SYMTAB | (SymbolOrigin.DWARF_INLINES if file.knows_copies else SymbolOrigin(0)),
        code_digest=bytes(32),
        segments=(Segment(_FIRST, count * _CODE_BYTES, _FIRST),),
        ranges=CodeRanges(
            [file.offset(at) for at in range(count)],
            [_CODE_BYTES] * count,
            [0] * count,
            [code.names[0] for code in file.codes],
        ),
        functions=NamedFunctions(
            [start for start, _, _ in named],
            [_CODE_BYTES] * len(named),
            [name for _, name, _ in named],
            [NameTrait.GLOBAL | trait for _, _, trait in named],
        ),
        copies=InlinedCopies(
            names=[name for name, _ in copies],
            addresses=[address for _, address in copies],
            outer=[NO_COPY] * len(copies),
            files=[0] * len(copies),
            lines=[0] * len(copies),
            described=count if file.knows_copies else 0,
            functions=count,
        ),
    )
