"""From settings to stage processes: which stage gets which step, topics, port and folder.

Every stage is attached here by hand, in data order; a stage that cannot be built keeps its process from starting. What
a stage needs from outside (schema ids, policy, symbols) is fetched before it joins its group. The code of a stage is
imported where it is attached: a process without that of the other two starts in less time, and is smaller.
"""

import os
import sys
from collections.abc import Callable
from functools import partial

from agents import agent
from agents.contract import DeadLetter, OutRecord, TellingStep
from agents.dead_letters import encode_dead_letter
from app.evidence import configuration
from app.evidence.results import domain_of
from app.ingest.node_claims import LATENESS_NS
from app.kafka.registry import SchemaRegistry
from app.operators.errors import ServerError
from app.processes.supervisor import Supervisor
from app.settings import Settings, variable_of
from app.streaming.audit import AuditTrail, StageIdentity
from app.streaming.dead_letter_limits import DeadLetterGuard, limits_of
from app.streaming.large_outputs import refuse_large
from app.streaming.lost_offsets import look_for_lost_offsets
from app.streaming.runner import Late, Omission, StepMemory, StepRunner
from app.streaming.skipped import SkippedGaps
from app.streaming.stage_process import Attach, StagePlan, StageRuntime
from app.streaming.unread_partitions import UnreadPartitions, ends_by
from app.telemetry import state_metrics
from app.telemetry.meter import Meter
from app.topology import PIPELINE, StageShape, shape_of
from schemas import topics
from schemas.records import schema_text
from schemas.topics import Stage, subject


class SchemasMissingError(ServerError):
    """The registry does not have a schema of ours; the message names the subject and says what to do."""


def stage_plan(settings: Settings, stage: Stage, *, index: int | None, http_port: int, tied: bool = False) -> StagePlan:
    """Plan one process of a live stage, worker number `index` on this host; None takes a free one.

    Raises what `plan_of` raises.
    """
    return plan_of(settings, shape_of(stage), index=index, http_port=http_port, tied=tied)


def plan_of(
    settings: Settings,
    shape: StageShape,
    *,
    index: int | None,
    http_port: int,
    tied: bool = False,
    symbols: str | None = None,
    omission: Omission | None = None,
) -> StagePlan:
    """Plan one stage process, at the symbol store's snapshot `symbols` or its current one.

    `omission` says which records of its source it leaves out.

    Raises SchemasMissingError, RegistryError, and what building the stage's step raises.
    """
    names = dict.fromkeys((*shape.sources, *shape.outputs, *shape.changelogs, *shape.follows, *shape.told))
    return StagePlan(
        stage=shape.stage,
        group=shape.group,
        attach=_ATTACHERS[shape.stage](settings, shape, symbols, omission),
        topics=tuple(settings.name(name) for name in names),
        others=[settings.name(name) for one in PIPELINE for name in one.sources if shape.version is None],
        pipeline=PIPELINE if shape.version is None else (),
        output_topic=topics.live_name(shape.outputs[0]),
        index=index,
        http_port=http_port,
        tied=tied,
    )


def run_all(settings: Settings, *, index: int | None) -> int:
    """Run one process per stage until a signal; returns the exit code."""
    supervisor = Supervisor()
    wish = [] if index is None else ["--index", str(index)]
    for offset, stage in enumerate(Stage):
        port = settings.http_port + offset if settings.http_port else 0
        command = [sys.executable, "-m", "app", "worker", "--stage", stage.value, *wish, "--tied"]
        supervisor.add(stage.value, command, {**os.environ, variable_of("http_port"): str(port)})
    return supervisor.run()


def _attach_canonicalize(
    settings: Settings, shape: StageShape, symbols: str | None, omission: Omission | None
) -> Attach:
    from app import steps  # noqa: PLC0415 - see above

    symbols = configuration.symbols_snapshot(settings, symbols)
    step = steps.canonicalize_step(settings, symbols)

    def tell(meter: Meter) -> None:
        if symbols is not None:
            meter.set(state_metrics.SYMBOLS_INFO, 1, symbols)

    def memory(runtime: StageRuntime) -> StepMemory:
        # Loader events are few, so the table is sparse; without their rows frames lack build ids, and none is wrong.
        source = settings.name(shape.sources[0])
        return StepMemory(step, runtime.table(topics.MODULES_TABLE, source_topic=source, sparse=True))

    digest = configuration.canonicalize_digest(settings, symbols)
    return _attach_step(settings, shape, step, digest, omission=omission, memory=memory, tell=tell)


def _attach_privacy(settings: Settings, shape: StageShape, symbols: str | None, omission: Omission | None) -> Attach:
    from agents.privacy.canonical_facts import late_events  # noqa: PLC0415 - see above
    from app.stages.policy_in_force import PolicyInForce  # noqa: PLC0415 - see above

    del symbols
    step = PolicyInForce(settings, registered_id(settings, shape.output(topics.CALLS)))
    late = partial(late_events, lateness_ns=LATENESS_NS)
    attach_step = _attach_step(settings, shape, step, step.configuration, omission=omission, late=late, tell=step.tell)

    def attach(runtime: StageRuntime) -> None:
        attach_step(runtime)
        if shape.version is None:  # a version's records are made alike
            runtime.reloads.append(lambda: step.reload(runtime.meter))

    return attach


def _attach_hot_symbols(
    settings: Settings, shape: StageShape, symbols: str | None, omission: Omission | None
) -> Attach:
    from app.stages.hot_symbols.attach import attacher  # noqa: PLC0415 - see above

    del symbols, omission
    tell_skipped = _gap_publisher(settings, shape)
    attach_steps = attacher(
        settings,
        published_schema_id=registered_id(settings, topics.HOT_SYMBOLS),
        watched_schema_id=registered_id(settings, topics.WATCHED),
        encode_dead_letter=_dead_letter_encoder(settings, shape),
    )

    def attach(runtime: StageRuntime) -> None:
        tell_skipped(runtime)
        attach_steps(runtime)

    return attach


def _attach_step(
    settings: Settings,
    shape: StageShape,
    step: TellingStep,
    configured: str,
    *,
    omission: Omission | None,
    memory: Callable[[StageRuntime], StepMemory] | None = None,
    late: Late = lambda _records: (),
    tell: Callable[[Meter], None],
) -> Attach:
    """Attach a stage that is one pure step from one topic to another, and may remember something.

    `configured` is the digest of what decides its output. `memory` is called once the Faust app exists. `tell` says
    with what the step works.
    """
    tell_skipped = _gap_publisher(settings, shape)
    open_trail = _trail_opener(settings, shape, configured)
    encode = _dead_letter_encoder(settings, shape)
    name, source, output = settings.name, shape.sources[0], shape.outputs[0]

    def attach(runtime: StageRuntime) -> None:
        tell_skipped(runtime)
        tell(runtime.meter)
        trail, limit = open_trail(runtime), runtime.record_limits.get(name(output))
        runtime.app.batch_consumer.before_commits.append(trail.before_commit)
        run = StepRunner(
            step,
            runtime.delivery,
            output_topic=name(output),
            dead_letter_topic=name(shape.output(topics.DEAD_LETTERS)),
            encode_dead_letter=encode,
            observer=runtime.observer,
            memory=None if memory is None else memory(runtime),
            limits=DeadLetterGuard(limits_of(settings)),
            commit=runtime.app.batch_consumer.commit_finished,
            trail=trail,
            refuse_large=None if limit is None else partial(refuse_large, shape.stage, limit),
            facts=step.facts,
            late=late,
            omission=omission,
        )
        agent.attach(runtime.app, name(source), shape.stage.value, run)

    return attach


def _trail_opener(settings: Settings, shape: StageShape, configured: str) -> Callable[[StageRuntime], AuditTrail]:
    """Makes a stage's audit trail; `configured` is the digest of what decides its output."""
    topic = shape.output(topics.AUDIT)
    schema_id = registered_id(settings, topic)
    identity = StageIdentity(
        stage=shape.stage,
        configuration=configured,
        program=configuration.program_name(),
        domain=domain_of(shape.stage, configuration.call_schema_fingerprint()),
    )
    return lambda runtime: AuditTrail(identity, runtime.delivery, topic=settings.name(topic), schema_id=schema_id)


def _gap_publisher(settings: Settings, shape: StageShape) -> Callable[[StageRuntime], None]:
    """Makes a stage say what it never read; a version says it in its log and metrics only."""
    schema_id = registered_id(settings, topics.COVERAGE) if shape.told else None

    def tell(runtime: StageRuntime) -> None:
        consumer, count = runtime.app.batch_consumer, runtime.observer.skipped
        gaps = SkippedGaps(
            runtime.delivery,
            prefix=settings.topic_prefix,
            partitions=runtime.partitions,
            schema_id=schema_id,
            count=count,
        )
        consumer.skipped.append(gaps.note)
        consumer.before_commits.append(gaps.before_commit)
        sources = [settings.name(topic) for topic in shape.sources]
        source, output = sources[0], settings.name(shape.outputs[0])
        ends, lost = ends_by(runtime.admin), partial(runtime.observer.offsets_lost, source)
        consumer.beginnings.append(partial(look_for_lost_offsets, source, output, ends, lost))
        unread = UnreadPartitions(sources, runtime.topic_watch, gaps, ends, runtime.partitions)
        runtime.tasks.append(unread.run)

    return tell


def _dead_letter_encoder(settings: Settings, shape: StageShape) -> Callable[[DeadLetter], OutRecord]:
    schema_id = registered_id(settings, shape.output(topics.DEAD_LETTERS))
    return lambda letter: encode_dead_letter(letter, schema_id)


def registered_id(settings: Settings, topic: str) -> int:
    """The registry's id for the value schema of an unprefixed topic. Raises SchemasMissingError or RegistryError."""
    shape = next(one for one in topics.TOPICS if one.name == topics.live_name(topic))
    assert shape.value_schema is not None
    name = settings.name(subject(topic))
    with SchemaRegistry.from_settings(settings) as registry:
        found = registry.id_of(name, schema_text(shape.value_schema))
    if found is None:
        raise SchemasMissingError(
            f"the registry has no schema of ours for {name}; `callstream topics apply` registers it"
        )
    return found


_ATTACHERS: dict[Stage, Callable[[Settings, StageShape, str | None, Omission | None], Attach]] = {
    Stage.CANONICALIZE: _attach_canonicalize,
    Stage.PRIVACY: _attach_privacy,
    Stage.HOT_SYMBOLS: _attach_hot_symbols,
}
