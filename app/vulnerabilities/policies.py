"""Tracing policies for the functions of vulnerabilities: one a file, and what cannot be probed with the reason.

A policy is written for one content of a file at one path. Nothing is loaded here: that stays with the operator.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import yaml

from agents.probes.hook_windows import HOST_ROOT
from agents.symbols.build_ids import BuildIdKind
from agents.vulnerabilities.file_packages import FileContent
from agents.vulnerabilities.policy_check import PlaceAnswer, check_policy
from agents.vulnerabilities.probing import ProbePlace, ProbePlaces, probe_places
from agents.vulnerabilities.tracing_policy import (
    PolicyOptions,
    PolicyRefusal,
    ProbedFile,
    ProbePolicy,
    probe_policy,
)
from app.symbols.layouts import other_offset
from app.symbols.name_maps import NODE_SCOPE
from app.vulnerabilities.findings import Finding
from app.vulnerabilities.programs import StoredProgram

MAX_TAG_CHARS: Final = 64


@dataclass(frozen=True, slots=True)
class NoPolicyFor:
    """A file for which no policy is written, and why."""

    build_id: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class WrittenPolicy:
    """A policy for a file, and the functions of it that no probe sees."""

    build_id: str
    file: ProbedFile
    policy: ProbePolicy
    places: ProbePlaces

    def text(self) -> str:
        """The policy as YAML: the same bytes for the same policy."""
        return yaml.safe_dump(self.policy.document, sort_keys=False, default_flow_style=None, width=120)


def policies(
    program: StoredProgram, found: Sequence[Finding], options: PolicyOptions, paths: Collection[str]
) -> Iterator[WrittenPolicy | NoPolicyFor]:
    """The policies of one file, for the functions of its findings.

    `paths` are those as the agent sees them, in place of what the maps of nodes say.
    """
    symbols = {symbol for one in found for symbol in one.symbols}
    if not symbols:
        return
    tags = tuple(sorted({one.advisory.advisory_id[:MAX_TAG_CHARS] for one in found if one.symbols}))
    here = tuple(sorted(paths)) or tuple(sorted({*_host_paths(program)}))
    if program.is_ambiguous:
        yield NoPolicyFor(program.build_id, "", "files with different code have its build id")
        return
    if not here:
        yield NoPolicyFor(program.build_id, "", _no_path(program))
        return
    contents = () if program.packages is None else program.packages.contents
    if not contents:
        yield NoPolicyFor(program.build_id, "", "its digest is not known; add it again with `callstream symbols add`")
    for content in contents:
        places = probe_places(symbols, program.names, program.segments)
        moved = _moved(places.places, program, content)
        for path in here:
            file = ProbedFile(path, content.sha256, _gnu_build_id(program), moved)
            written = probe_policy(file, replace(options, tags=tags))
            if isinstance(written, PolicyRefusal):
                yield NoPolicyFor(program.build_id, path, written.fault.value)
            else:
                yield WrittenPolicy(program.build_id, file, written, places)


def checked(
    document: Any, program: StoredProgram, found: Sequence[Finding], paths: Collection[str]
) -> Mapping[str, tuple[PlaceAnswer, ...]]:
    """For each path, which places of a file a policy of somebody's own answers for."""
    symbols = {symbol for one in found for symbol in one.symbols}
    contents = () if program.packages is None else program.packages.contents
    if not symbols or not contents:
        return {}
    places = probe_places(symbols, program.names, program.segments).places
    offsets = [place.file_offset for place in places]
    addresses = {one: address for one in offsets if (address := program.index.address_of(one)) is not None}
    answers = {}
    for path in tuple(sorted(paths)) or tuple(sorted({*_host_paths(program)})):
        file = ProbedFile(path, contents[0].sha256, _gnu_build_id(program), places)
        answers[path] = check_policy(document, file, addresses)
    return answers


def _host_paths(program: StoredProgram) -> Iterator[str]:
    """Where nodes have it, as an agent in its container sees the host's files."""
    return (f"{HOST_ROOT}{one.path}" for one in program.places if one.scope.startswith(NODE_SCOPE))


def _no_path(program: StoredProgram) -> str:
    images = sorted({one.scope for one in program.places})
    if not images:
        return "no map says where it lies; add it with --node, or say its path with --path"
    return (
        f"it lies in {', '.join(images)}: say with --path where an agent sees it on a node, and with --node-label on "
        "which; processes that have another copy of it open are not probed then"
    )


def _gnu_build_id(program: StoredProgram) -> str:
    is_gnu = program.packages is not None and program.packages.build_id_kind is BuildIdKind.GNU
    return program.build_id if is_gnu else ""


def _moved(places: tuple[ProbePlace, ...], program: StoredProgram, content: FileContent) -> tuple[ProbePlace, ...]:
    """The places in a file that may have its code elsewhere than the index says."""
    layout = content.layout()
    if layout == program.segments:
        return places
    moved = ((other_offset(place.file_offset, program.segments, layout), place.symbol) for place in places)
    return tuple(sorted(ProbePlace(offset, symbol) for offset, symbol in moved if offset is not None))
