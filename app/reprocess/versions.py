"""Which version a run is: one that is there and was made in the same way, or the next.

Two records of a version are made alike or not at all: what decides them (code, policy, key, hook map, symbols) is
written down when a version begins, and whoever goes on with it must have the same. Rules: pure. A version that holds
records which were made otherwise is refused, or left alone in favour of the next. This module refuses to know where
versions are written down.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.topics import FIRST_VERSION, Stage


@dataclass(frozen=True, slots=True)
class Made:
    """How a stage makes its output: digest of its configuration, and the program's name with that of its code."""

    configuration: str
    program: str


@dataclass(frozen=True, slots=True)
class Found:
    """A version that is there: how each of its stages said that it makes its output.

    `is_empty` where it has no record yet, `is_whole` where none of its topics is missing.
    """

    made: Mapping[Stage, Made]
    is_empty: bool
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Begin:
    """Make this version; where a run was killed while it made it, finish that."""

    version: int


@dataclass(frozen=True, slots=True)
class GoOn:
    """Go on with this version."""

    version: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Another run's records are there; the reason names the version and what differs."""

    reason: str


def choose(existing: Mapping[int, Found], wanted: Mapping[Stage, Made], asked: int | None) -> Begin | GoOn | Refused:
    """Decide for a run that makes `wanted`; `asked` is the version that an operator named."""
    if asked is not None:
        found = existing.get(asked)
        if found is None or _is_unfinished(found, wanted):
            return Begin(asked)
        return GoOn(asked) if _is_alike(found, wanted) else Refused(_reason(asked, found, wanted))
    alike = [version for version, found in existing.items() if _is_alike(found, wanted)]
    if alike:
        return GoOn(max(alike))
    newest = max(existing, default=FIRST_VERSION - 1)
    if newest in existing and _is_unfinished(existing[newest], wanted):
        return Begin(newest)
    return Begin(newest + 1)


def _is_alike(found: Found, wanted: Mapping[Stage, Made]) -> bool:
    return found.is_whole and found.made == wanted


def _is_unfinished(found: Found, wanted: Mapping[Stage, Made]) -> bool:
    """Whether a run like this one was killed before the version began, or somebody made empty topics."""
    return found.is_empty and found.made.items() < wanted.items()


def _reason(version: int, found: Found, wanted: Mapping[Stage, Made]) -> str:
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


def _names(stages: Mapping[Stage, Made]) -> str:
    return " and ".join(stage.value for stage in Stage if stage in stages)
