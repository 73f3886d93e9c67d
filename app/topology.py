"""The picture of the pipeline: what each stage reads, writes and keeps, in data order.

    tetragon.raw ─> canonicalize ─> runtime.canonical ─> privacy ─> runtime.calls ─> hot-symbols ─> runtime.hot-symbols

Each stage is a Faust app with its own consumer group. The stages are attached here by hand. Faust's autodiscovery would
leave out a module that fails to import, and start without it; the pipeline must never start without its privacy stage.
"""

from dataclasses import dataclass
from typing import Final

from schemas import topics
from schemas.topics import Stage


@dataclass(frozen=True, slots=True)
class StageShape:
    """One stage: its topics, by their names without prefix, and its tables, each of which has a changelog topic.

    `version` is the version of its group, outputs and changelogs; None means the live ones.
    """

    stage: Stage
    sources: tuple[str, ...]
    outputs: tuple[str, ...]
    tables: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    """Topics that every worker reads completely, outside of the group."""
    version: int | None = None

    @property
    def group(self) -> str:
        """Consumer group and Faust app id, without prefix."""
        return topics.versioned(self.stage.group, self.version)

    @property
    def told(self) -> tuple[str, ...]:
        """Topics on which it says what it never read; a version says that in its log and metrics only."""
        return (topics.COVERAGE,) if self.version is None else ()

    @property
    def changelogs(self) -> tuple[str, ...]:
        """Changelog topics of the tables, without prefix."""
        return tuple(topics.changelog(self.stage, table, self.version) for table in self.tables)

    def output(self, live: str) -> str:
        """The name of one of its outputs in its own version; `live` is the live name."""
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
        follows=(topics.WATCH, topics.PROBES, topics.PLACEMENTS),
    ),
)
"""The stages in data order."""


def shape_of(stage: Stage) -> StageShape:
    """The shape of one stage."""
    return next(shape for shape in PIPELINE if shape.stage is stage)
