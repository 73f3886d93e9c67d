"""Which versions the cluster has, and what each one's audit topic says of it."""

from app.reprocess import marks
from app.reprocess.chain import STAGES, chain, own_topics, versions_in
from app.reprocess.cluster import Cluster
from app.reprocess.versions import ExistingVersion
from app.topology import StageShape, shape_of
from schemas import topics


def existing_versions(cluster: Cluster) -> dict[int, ExistingVersion]:
    """Every version that has a topic. Raises what reading from the servers raises."""
    names = cluster.admin.names()
    return {one: _found(cluster, names, one) for one in sorted(versions_in(names, cluster.settings.topic_prefix))}


def existing_version(cluster: Cluster, version: int) -> ExistingVersion:
    """One version, even if it has no topic yet. Raises what reading from the servers raises."""
    return _found(cluster, cluster.admin.names(), version)


def _found(cluster: Cluster, names: frozenset[str], version: int) -> ExistingVersion:
    """A version as the cluster's topics, `names`, show it."""
    name = cluster.settings.name
    stages = [stage for stage in STAGES if name(topics.versioned(shape_of(stage).outputs[0], version)) in names]
    if not stages:
        return ExistingVersion({}, is_empty=True, is_whole=False)
    shapes = chain(stages[0], version)
    there = {one for one in own_topics(shapes) if name(one) in names}
    audit = topics.versioned(topics.AUDIT, version)
    return ExistingVersion(
        marks.made(cluster, version, stages) if audit in there else {},
        is_empty=not any(_has_records(cluster, one) for one in _results(shapes) & there),
        is_whole=there == own_topics(shapes).keys(),
    )


def _results(shapes: tuple[StageShape, ...]) -> set[str]:
    """The version's topics of results: all but audit records and changelogs."""
    audit = {topics.versioned(topics.AUDIT, shape.version) for shape in shapes}
    return {name for shape in shapes for name in shape.outputs} - audit


def _has_records(cluster: Cluster, topic: str) -> bool:
    full = cluster.settings.name(topic)
    count = cluster.admin.existing([full])[full].partitions
    return any(cluster.reader.ends(full, number).next for number in range(count))
