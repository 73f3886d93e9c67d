"""Attaches the hot-symbol stage to an app: its three steps, and the tasks that answer watches and remove old rows."""

from functools import partial

from agents import agent
from agents.hot_symbols.counting.symbol_counter import SymbolCounter
from agents.hot_symbols.reading.meaning import PLACE_FIELDS
from agents.hot_symbols.reading.observations import CallReader
from agents.hot_symbols.table.merging import SymbolMerger
from agents.hot_symbols.table.published import published_value
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import CallLayouts, RecordDecoder
from app.settings import Settings
from app.stages.hot_symbols.count_step import CountStep, EncodeDeadLetter
from app.stages.hot_symbols.coverage_step import CoverageStep
from app.stages.hot_symbols.expiry import Expiry
from app.stages.hot_symbols.merge_step import MergeStep
from app.stages.hot_symbols.open_letters import OpenLetters
from app.stages.hot_symbols.ownership import Ownership
from app.stages.hot_symbols.query_port import QueryPort
from app.stages.hot_symbols.schema_lookup import meet_schemas
from app.stages.hot_symbols.watching import WatchTask
from app.streaming.paced_runner import MIN_PAUSE_SECONDS, PacedRunner
from app.streaming.stage_process import Attach, StageRuntime
from schemas import topics

FETCH_MAX_WAIT_MS = 250
FETCH_MIN_BYTES = 1 << 20
"""Rows follow a second later anyway, so a fetch may wait: four a second instead of fifty at 20,000 events a second, and
a fetch with its way through two threads costs some milliseconds."""


def attacher(
    settings: Settings, *, published_schema_id: int, watched_schema_id: int, encode_dead_letter: EncodeDeadLetter
) -> Attach:
    """A function that attaches all steps to an app; the ids are the registry's for HotSymbol and WatchedSymbol."""
    layouts = CallLayouts(settings, PLACE_FIELDS, follows=True)
    calls = CallReader(layouts)
    coverage = RecordDecoder(settings, SchemaRegistry.from_settings(settings), topics.COVERAGE, follows=True)

    def attach(runtime: StageRuntime) -> None:
        name = settings.name
        consumer = runtime.app.batch_consumer
        consumer.fetch_max_wait_ms, consumer.fetch_min_bytes = FETCH_MAX_WAIT_MS, FETCH_MIN_BYTES
        count_step = CountStep(runtime, SymbolCounter(calls.gather, runtime.partitions), encode_dead_letter)
        merge_step = MergeStep(runtime, SymbolMerger(partial(published_value, published_schema_id)))
        coverage_step = CoverageStep(runtime, coverage)
        count = PacedRunner(count_step.absorb, count_step.flush, count_step.is_full, prepare=meet_schemas(layouts))
        merge = PacedRunner(merge_step.absorb, merge_step.flush, merge_step.is_full, apart_seconds=MIN_PAUSE_SECONDS)
        fold = PacedRunner(coverage_step.absorb, coverage_step.flush, prepare=meet_schemas(coverage))
        runtime.intervals.extend((count, merge, fold))
        # One app, so that a worker that owns a partition owns it of every topic and table.
        agent.attach(runtime.app, name(topics.CALLS), "count", count)
        agent.attach(runtime.app, name(topics.HOT_PARTIALS), "merge", merge)
        agent.attach(runtime.app, name(topics.COVERAGE), "fold", fold)
        watching = WatchTask(runtime, hot_symbol_schema_id=published_schema_id, watched_schema_id=watched_schema_id)
        expiry = Expiry(runtime, count_step, count, merge_step, merge, keeps=watching.keeps)
        runtime.tasks.extend((watching.run, expiry.run, OpenLetters(runtime).run))
        if settings.hot_symbols_port is not None:
            ownership = Ownership(runtime)
            runtime.tasks.append(ownership.run)
            runtime.ready["peers"] = ownership.trouble
            port = QueryPort(runtime, ownership, merge_step.table, watching.answers, files=watching.files)
            runtime.ports.append(port)

    return attach
