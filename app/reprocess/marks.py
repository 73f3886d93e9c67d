"""How a version says what it is: in its own audit topic, each stage names what decides its output.

A version begins with one audit record for each stage and partition. Its range has no records, and ends where the stage
starts. All later audit records name the same things, so any of them identifies the version.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping

from agents.contract import OutRecord
from app.evidence import configuration
from app.evidence.audit_record import AuditRecord
from app.privacy.load import load_privacy
from app.replay.compare.published import PublishedSchemas, audit_record
from app.reprocess.cluster import Cluster
from app.reprocess.versions import MadeBy
from app.settings import Settings
from app.streaming.delivery import Parcel
from app.symbols.snapshot import snapshot_digests
from app.topology import StageShape
from schemas import topics
from schemas.topics import Stage
from schemas.units import NS_PER_MS


def made_by(settings: Settings, stages: Iterable[Stage], symbols: str | None) -> dict[Stage, MadeBy]:
    """How stages make their output under these settings, with the symbol store's snapshot `symbols`.

    Raises what loading the policy, its key and the hook map raises.
    """
    program = configuration.program_name()
    digests = {
        stage: configuration.canonicalize_digest(settings, symbols)
        if stage is Stage.CANONICALIZE
        else configuration.privacy_digest(load_privacy(settings))
        for stage in stages
    }
    return {stage: MadeBy(digest, program) for stage, digest in digests.items()}


def symbols_of(settings: Settings, made: Mapping[Stage, MadeBy]) -> str | None:
    """The snapshot of the symbol store that a version was made with; the current one if none fits.

    So a version can run for months while symbols are added to the store. Raises SymbolStoreError.
    """
    if settings.symbol_store_dir is None:
        return None
    snapshots = snapshot_digests(settings.symbol_store_dir)
    known = made.get(Stage.CANONICALIZE)
    if known is None:
        return snapshots[0]
    fitting = (one for one in snapshots if configuration.canonicalize_digest(settings, one) == known.configuration)
    return next(fitting, snapshots[0])


def marks(
    settings: Settings,
    shapes: Iterable[StageShape],
    made: Mapping[Stage, MadeBy],
    starts: Mapping[Stage, Mapping[int, int]],
    schema_id: int,
) -> list[Parcel]:
    """The records that a version begins with; `starts` are offsets of each stage's source by partition."""
    now_ms = time.time_ns() // NS_PER_MS
    parcels = []
    for shape in shapes:
        for partition, start in starts[shape.stage].items():
            record = AuditRecord(
                stage=shape.stage.value,
                configuration=made[shape.stage].configuration,
                program=made[shape.stage].program,
                partition=partition,
                first=start,
                last=start - 1,
                records=0,
                runs=(),
            )
            entry = OutRecord(record.key, record.encode(schema_id), now_ms)
            parcels.append(Parcel(settings.name(shape.output(topics.AUDIT)), partition, [entry]))
    return parcels


def made(cluster: Cluster, version: int, stages: Collection[Stage]) -> dict[Stage, MadeBy]:
    """What each of these stages of a version was made by, if its audit topic says so.

    The audit topic must exist. Raises what reading the topic and the registry raises.
    """
    by_name = {stage.value: stage for stage in stages}
    found: dict[Stage, MadeBy] = {}
    for record in _records(cluster, version, partition=0):
        if record.stage in by_name:
            found.setdefault(by_name[record.stage], MadeBy(record.configuration, record.program))
        if len(found) == len(by_name):
            break
    return found


def start(cluster: Cluster, version: int, stage: Stage, partition: int) -> int | None:
    """The offset of its source at which a stage began; None if no mark says so. Raises as `made` does."""
    firsts = [record.first for record in _records(cluster, version, partition) if record.stage == stage.value]
    return min(firsts, default=None)


def _records(cluster: Cluster, version: int, partition: int) -> Iterator[AuditRecord]:
    calls, audit = (cluster.settings.name(topics.versioned(one, version)) for one in (topics.CALLS, topics.AUDIT))
    schemas = PublishedSchemas.of_topics(cluster.registry, calls, audit)
    for taken in cluster.reader.whole(audit, partition):
        for one in taken:
            record = audit_record(one, schemas)
            if record is not None:
                yield record
