"""Which stages run for a version, and between which topics.

Reprocessing a stage includes the stages after it, down to `runtime.calls`, because consumers read calls:

    canonicalize  tetragon.raw ─> runtime.canonical.v2 ─> runtime.calls.v2
    privacy       runtime.canonical ─> runtime.calls.v2

A version reads live topics and its own topics. It writes only its own, dead letters, audit records and changelogs
included. Hot symbols take no part: they count all of history already.
"""

from dataclasses import replace
from typing import Final

from app.topology import PIPELINE, StageShape
from schemas import topics
from schemas.topics import Stage, Topic

STAGES: Final = (Stage.CANONICALIZE, Stage.PRIVACY)
"""What can be reprocessed."""


def chain(first: Stage, version: int) -> tuple[StageShape, ...]:
    """The version's stages in data order, from `first` on."""
    shapes: list[StageShape] = []
    made: set[str] = set()
    for shape in PIPELINE:
        if shape.stage not in STAGES[STAGES.index(first) :]:
            continue
        shapes.append(
            replace(
                shape,
                sources=tuple(topics.versioned(name, version if name in made else None) for name in shape.sources),
                outputs=tuple(topics.versioned(name, version) for name in shape.outputs),
                version=version,
            )
        )
        made.update(shape.outputs)
    return tuple(shapes)


def own_topics(shapes: tuple[StageShape, ...]) -> dict[str, Topic]:
    """The live topics of which the version has its own, by the unprefixed name of its own."""
    live = {topic.name: topic for topic in topics.TOPICS}
    names = dict.fromkeys(name for shape in shapes for name in (*shape.outputs, *shape.changelogs))
    return {name: live[topics.live_name(name)] for name in names}


def versions_in(names: frozenset[str], prefix: str) -> frozenset[int]:
    """Versions that any of the cluster's topics belongs to; `names` have the operator's prefix."""
    live = {topic.name for topic in topics.TOPICS}
    bare = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    found = (topics.version_of(name) for name in bare if topics.live_name(name) in live)
    return frozenset(version for version in found if version is not None)
