"""Which versions the cluster has, and what each says of itself.

This module refuses to know which of them a run may go on with.
"""

from app.reprocess.chain import STAGES, chain, own_topics, versions_in
from app.reprocess.marks import MarkReader
from app.reprocess.setup import Cluster
from app.reprocess.versions import Found
from app.topology import StageShape, shape_of
from schemas import topics


def existing_versions(cluster: Cluster) -> dict[int, Found]:
    """Every version that has a topic. Raises what asking the servers raises."""
    names = cluster.admin.names()
    return {one: _found(cluster, names, one) for one in sorted(versions_in(names, cluster.settings.topic_prefix))}


def existing_version(cluster: Cluster, version: int) -> Found:
    """One version, be there anything of it or not. Raises what asking the servers raises."""
    return _found(cluster, cluster.admin.names(), version)


def _found(cluster: Cluster, names: frozenset[str], version: int) -> Found:
    """What there is of a version among the cluster's topics, `names`."""
    name = cluster.settings.name
    stages = [stage for stage in STAGES if name(topics.versioned(shape_of(stage).outputs[0], version)) in names]
    if not stages:
        return Found({}, is_empty=True, is_whole=False)
    shapes = chain(stages[0], version)
    there = {one for one in own_topics(shapes) if name(one) in names}
    audit = topics.versioned(topics.AUDIT, version)
    marks = MarkReader(cluster.settings, cluster.reader, cluster.registry)
    return Found(
        marks.made(version, stages) if audit in there else {},
        is_empty=not any(_has_records(cluster, one) for one in _results(shapes) & there),
        is_whole=there == own_topics(shapes).keys(),
    )


def _results(shapes: tuple[StageShape, ...]) -> set[str]:
    """The version's topics that hold what it is for: neither its books nor its tables."""
    audit = {topics.versioned(topics.AUDIT, shape.version) for shape in shapes}
    return {name for shape in shapes for name in shape.outputs} - audit


def _has_records(cluster: Cluster, topic: str) -> bool:
    full = cluster.settings.name(topic)
    count = cluster.admin.existing([full])[full].partitions
    return any(cluster.reader.ends(full, number).next for number in range(count))
