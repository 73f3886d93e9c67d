"""The picture of the pipeline: what each stage reads, writes and keeps, in data order.

    tetragon.raw ─> canonicalize ─> runtime.canonical ─> privacy ─> runtime.calls ─> hot-symbols ─> runtime.hot-symbols

Each stage is a Faust app of its own with a consumer group of its own, and is attached here by hand: Faust's
autodiscovery leaves out a module that fails to import and starts without it, which for a privacy stage must not be.
This module refuses to know how records travel.
"""

from dataclasses import dataclass
from typing import Final

from schemas import topics
from schemas.topics import Stage


@dataclass(frozen=True, slots=True)
class StageShape:
    """One stage: topics by their unprefixed names, and the tables that it keeps (each with a changelog topic).

    `version` is that of its group, its outputs and its changelogs; None is the live one.
    """

    stage: Stage
    sources: tuple[str, ...]
    outputs: tuple[str, ...]
    tables: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    """Topics that every worker reads whole, outside of the group."""
    version: int | None = None

    @property
    def group(self) -> str:
        """Unprefixed consumer group and Faust app id."""
        return topics.versioned(self.stage.group, self.version)

    @property
    def changelogs(self) -> tuple[str, ...]:
        """Unprefixed changelog topics of the tables."""
        return tuple(topics.changelog(self.stage, table, self.version) for table in self.tables)

    def output(self, live: str) -> str:
        """Its own version of one of its outputs, which is given by its live name."""
        name = topics.versioned(live, self.version)
        assert name in self.outputs
        return name


PIPELINE: Final = (
    StageShape(
        Stage.CANONICALIZE,
        (topics.RAW,),
        (topics.CANONICAL, topics.DEAD_LETTERS, topics.AUDIT),
        (topics.MODULES_TABLE,),
    ),
    StageShape(Stage.PRIVACY, (topics.CANONICAL,), (topics.CALLS, topics.DEAD_LETTERS, topics.AUDIT)),
    StageShape(
        Stage.HOT_SYMBOLS,
        (topics.CALLS, topics.HOT_PARTIALS, topics.COVERAGE),
        (topics.HOT_PARTIALS, topics.HOT_SYMBOLS, topics.DEAD_LETTERS, topics.WATCHED, topics.OWNERS),
        (topics.PARTIAL_COUNTS_TABLE, topics.HOT_SYMBOLS_TABLE, topics.NODE_COVERAGE_TABLE),
        follows=(topics.WATCH,),
    ),
)
"""The stages in data order."""


def shape_of(stage: Stage) -> StageShape:
    """The shape of one stage."""
    return next(shape for shape in PIPELINE if shape.stage is stage)
