"""Which version to run: an existing one that was made by the same configuration, or the next.

All records of a version are made by the same code, policy, key, hook map and symbols. These are written down when a
version begins, and whoever continues it must have the same. A version that was made by something else is refused, if
the operator named it, or left alone in favour of the next.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.topics import FIRST_VERSION, Stage


@dataclass(frozen=True, slots=True)
class MadeBy:
    """What makes a stage's output: its configuration's digest, and the program's name with the digest of its code."""

    configuration: str
    program: str


@dataclass(frozen=True, slots=True)
class ExistingVersion:
    """A version that the cluster has, with what each of its stages says it was made by.

    `is_empty` says that it has no results yet, `is_whole` that no topic of it is missing.
    """

    made: Mapping[Stage, MadeBy]
    is_empty: bool
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Begin:
    """Make this version, or finish making it after a run was killed."""

    version: int


@dataclass(frozen=True, slots=True)
class GoOn:
    """Continue this version."""

    version: int


@dataclass(frozen=True, slots=True)
class VersionRefusal:
    """The version holds records that were made by something else; the reason names what differs."""

    reason: str


def choose(
    existing: Mapping[int, ExistingVersion], wanted: Mapping[Stage, MadeBy], asked: int | None
) -> Begin | GoOn | VersionRefusal:
    """Decide for a run that makes `wanted`; `asked` is the version that an operator named, if any."""
    if asked is not None:
        found = existing.get(asked)
        if found is None or _is_unfinished(found, wanted):
            return Begin(asked)
        return GoOn(asked) if _is_alike(found, wanted) else VersionRefusal(_reason(asked, found, wanted))
    alike = [version for version, found in existing.items() if _is_alike(found, wanted)]
    if alike:
        return GoOn(max(alike))
    newest = max(existing, default=FIRST_VERSION - 1)
    if newest in existing and _is_unfinished(existing[newest], wanted):
        return Begin(newest)
    return Begin(newest + 1)


def _is_alike(found: ExistingVersion, wanted: Mapping[Stage, MadeBy]) -> bool:
    return found.is_whole and found.made == wanted


def _is_unfinished(found: ExistingVersion, wanted: Mapping[Stage, MadeBy]) -> bool:
    """Whether a run like this one was killed before the version began, or somebody created empty topics."""
    return found.is_empty and found.made.items() < wanted.items()


def _reason(version: int, found: ExistingVersion, wanted: Mapping[Stage, MadeBy]) -> str:
    begins = f"version {version} is there and "
    ends = "; nothing was changed. Leave out --version to make the next one"
    if not found.made:
        return f"{begins}holds records, but none that says how it was made{ends}"
    if found.made.keys() != wanted.keys():
        return f"{begins}is one of {_names(found.made)}, not of {_names(wanted)}{ends}"
    if not found.is_whole:
        return f"{begins}lacks some of its topics{ends}"
    differing = {stage: found.made[stage] for stage in wanted if found.made[stage] != wanted[stage]}
    stage, made = next(iter(differing.items()))
    if made.program != wanted[stage].program:
        return f"{begins}was made by callstream {made.program}, this is {wanted[stage].program}{ends}"
    what = "another policy, key or schema" if stage is Stage.PRIVACY else "another hook map or other symbols"
    return f"{begins}its {stage.value} stage was made with {what}{ends}"


def _names(stages: Mapping[Stage, MadeBy]) -> str:
    return " and ".join(stage.value for stage in Stage if stage in stages)
