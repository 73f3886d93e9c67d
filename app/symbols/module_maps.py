"""Module maps: which build of a file lies at a path of an image or a node, and from when on.

As text, one file a line, separated by tabs, sorted: normalized module, build id, and where they are known the ELF
machine and the time from which it holds (Unix epoch, ns).

A path may have had several files, one after the other. The latest before an event is meant; near a change nobody can
tell which. Two at once for one machine are ambiguous, too: an image's digest may stand for several architectures, and a
pattern for several nodes.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from agents.symbols.lookup import Unresolved
from app.symbols.snapshot import SymbolStoreError
from schemas.units import NS_PER_SECOND

ANY_MACHINE: Final = 0
ALWAYS_NS: Final = 0

MACHINES: Final[Mapping[str, frozenset[int]]] = {
    "amd64": frozenset({62, 3}),
    "386": frozenset({3}),
    "arm64": frozenset({183, 40}),
    "arm": frozenset({40}),
    "ppc64le": frozenset({21}),
    "ppc64": frozenset({21}),
    "riscv64": frozenset({243}),
    "s390x": frozenset({22}),
    "loong64": frozenset({258}),
}
"""ELF machines (e_machine) whose programs run on an architecture, as Go and Kubernetes call it."""


class MappedFile(NamedTuple):
    """A file at a path: its build id, its ELF machine, and since when it is known to lie there."""

    build_id: str
    machine: int = ANY_MACHINE
    since_ns: int = ALWAYS_NS


Files = tuple[MappedFile, ...]
"""The files of one path, by time."""

ModuleMap = Mapping[str, Files]
"""The files of a scope by normalized module."""

CLOCK_DOUBT_NS: Final = 900 * NS_PER_SECOND
"""How long before and after a file took another one's place either may be meant: a node's clock may have been wrong
when the file came, or when the event happened. Clocks that are wrong by more than a quarter of an hour are noticed."""


def file_at(files: Files, time_ns: int, machines: frozenset[int] | None) -> str | Unresolved | None:
    """The build id of the file that lay there at a moment; None where it is not known.

    `machines` are those whose programs can run there; None where that is not known.
    """
    here = [one for one in files if machines is None or one.machine in machines or one.machine == ANY_MACHINE]
    if not _lying(here, time_ns):
        return None
    near = (one.since_ns for one in here if abs(one.since_ns - time_ns) < CLOCK_DOUBT_NS)
    found = {one.build_id for moment in (time_ns - CLOCK_DOUBT_NS, time_ns, *near) for one in _lying(here, moment)}
    return Unresolved.AMBIGUOUS if len(found) > 1 else next(iter(found), None)


def changes(files: Iterable[MappedFile]) -> set[int]:
    """The moments at which `file_at` may begin to give another answer, Unix epoch."""
    begins = {one.since_ns for one in files} - {ALWAYS_NS}
    return {begin + apart for begin in begins for apart in (1 - CLOCK_DOUBT_NS, 0, CLOCK_DOUBT_NS)}


def _lying(files: Sequence[MappedFile], time_ns: int) -> list[MappedFile]:
    return _latest([one for one in files if one.since_ns <= time_ns])


def merged(known: Files, added: Iterable[MappedFile]) -> Files:
    """The files of a path with further ones. What says nothing new is left out."""
    new = set(added)
    for one in sorted(new, key=_since):
        others = {other.build_id for other in new if other.since_ns == one.since_ns and _is_beside(one, other)}
        before = _latest([other for other in known if other.since_ns <= one.since_ns and _is_beside(one, other)])
        if {other.build_id for other in before} != others:
            behind = [other for other in known if other.since_ns > one.since_ns and _is_beside(one, other)]
            again = behind[0] if behind and behind[0].build_id == one.build_id else None
            known = tuple(sorted({*known, one} - {again}, key=lambda file: (file.since_ns, file)))
    return known


def _latest(files: Sequence[MappedFile]) -> list[MappedFile]:
    """The newest files of each machine; a file of any machine takes the place of older ones of each."""
    machines = {one.machine for one in files} - {ANY_MACHINE} or {ANY_MACHINE}
    found: set[MappedFile] = set()
    for machine in machines:
        own = [one for one in files if one.machine in {machine, ANY_MACHINE}]
        newest = max(map(_since, own), default=ALWAYS_NS)
        found |= {one for one in own if one.since_ns == newest}
    return sorted(found)


def _is_beside(one: MappedFile, other: MappedFile) -> bool:
    return one.machine == other.machine or ANY_MACHINE in {one.machine, other.machine}


def _since(file: MappedFile) -> int:
    return file.since_ns


def encode_module_map(files: ModuleMap) -> bytes:
    """The text of a module map, UTF-8. Raises ValueError if a module holds a tab or the end of a line."""
    if any(c in module for module in files for c in "\t\r\n"):
        raise ValueError("a name with a tab or the end of a line in it")
    return "".join(_line(module, one) for module in sorted(files) for one in files[module]).encode()


def _line(module: str, file: MappedFile) -> str:
    build_id, machine, since_ns = file
    known = f"\t{machine}\t{since_ns}" if machine or since_ns else ""
    return f"{module}\t{build_id}{known}\n"


def decode_module_map(content: bytes) -> dict[str, Files]:
    """The map that was encoded as `content`. Raises SymbolStoreError."""
    found: dict[str, list[MappedFile]] = {}
    try:
        for line in content.decode().split("\n")[:-1]:
            module, build_id, *known = line.split("\t")
            machine, since_ns = map(int, known or (ANY_MACHINE, ALWAYS_NS))
            found.setdefault(module, []).append(MappedFile(build_id, machine, since_ns))
    except ValueError as error:
        raise SymbolStoreError("a map has a line that is not a file") from error
    return {module: tuple(sorted(files, key=_since)) for module, files in found.items()}
