"""What topics hold and what their keys are, in words: the part of the generated pages that no code says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.topology import PIPELINE
from schemas import topics


@dataclass(frozen=True, slots=True)
class TopicWords:
    """One topic in words; `readers` are those outside of the pipeline."""

    holds: str
    key: str
    readers: str = "nobody else: it is the pipeline's own"
    value: str = "the pipeline's own form, which may change with any release"


_EVERYBODY: Final = "everybody"

WORDS: Final[Mapping[str, TopicWords]] = {
    topics.RAW: TopicWords(
        holds="Events as Tetragon sent them. Private.",
        key="The `exec_id` of the event's process; the node where it has none.",
        value="The bytes of `tetragon.GetEventsResponse`.",
        readers="canonicalize and replay only",
    ),
    topics.CANONICAL: TopicWords(
        holds="Events in a form that means the same on every host, before the privacy filter. Private.",
        key="As on `tetragon.raw`.",
        readers="privacy only",
    ),
    topics.CALLS: TopicWords(
        holds="Calls: what was called, by which process, with its stack. Filtered by the privacy policy.",
        key="`process.process_id` of the call.",
        readers=_EVERYBODY,
    ),
    topics.HOT_PARTIALS: TopicWords(
        holds="Counts of a symbol from one partition of the calls.", key="The symbol and the partition."
    ),
    topics.HOT_SYMBOLS: TopicWords(
        holds="One row for each symbol that ran: hits, times, places, events. A tombstone: the row has expired.",
        key="`symbol_id` of the row; see [Keys of symbols](consumers.md).",
        readers=_EVERYBODY,
    ),
    topics.COVERAGE: TopicWords(
        holds="For each node, when its events are complete, gaps with their causes, and which nodes there are.",
        key="`NODE#SESSION#CAUSE#FROM`, for gaps and words with more behind it. `NODE` is `CLUSTER/NAME`, or `NAME` "
        "without a cluster; in names a slash is `%2F`, `%` is `%25` and `#` is `%23`. All records of a node are in the "
        "partition of the key `NODE`. A heartbeat keeps its key as it grows.",
        readers=_EVERYBODY,
    ),
    topics.PROBES: TopicWords(
        holds="For each node, which tracing policies its agent had, from when to when, and which of their hooks.",
        key="`NODE#SESSION#DOMAIN#NAMESPACE#POLICY#ID#FROM`; in its parts `#` is `%23` and `%` is `%25`. All records "
        "of a node are in the partition of the key `NODE`, as on `runtime.coverage`. A window keeps its key as it "
        "grows.",
        readers=_EVERYBODY,
    ),
    topics.PLACEMENTS: TopicWords(
        holds="For each node, which files processes were seen to map, by build id. No record of a file says nothing.",
        key="`NODE#SESSION#BUILD-ID`; in its parts `#` is `%23` and `%` is `%25`. All records of a node are in the "
        "partition of the key `NODE`, as on `runtime.coverage`. A record keeps its key as it grows.",
        readers=_EVERYBODY,
    ),
    topics.DEAD_LETTERS: TopicWords(
        holds="Where an event is that a stage could not process, and why. Never what it holds.",
        key="Topic and partition of the record that was refused, as `TOPIC-PARTITION`.",
        readers="operators, and whoever wants to know whether anything is missing",
    ),
    topics.AUDIT: TopicWords(
        holds="What a stage says that it published, by raw position and digest.",
        key="Stage, partition and first offset.",
        readers="auditors",
    ),
    topics.WATCH: TopicWords(
        holds="Questions whether a symbol runs. Other services may ask, too; a tombstone ends a watch.",
        key="The watch id: `BUILD-ID!SYMBOL`, `MODULE!SYMBOL`, or `!SYMBOL` for any file.",
        readers=_EVERYBODY,
    ),
    topics.WATCHED: TopicWords(
        holds="The answers to watches, with reasons and evidence. A tombstone: the watch has ended.",
        key="The watch id.",
        readers=_EVERYBODY,
    ),
    topics.OWNERS: TopicWords(holds="Which worker answers for a partition of the table.", key="The partition."),
    topics.changelog(topics.Stage.CANONICALIZE, topics.MODULES_TABLE): TopicWords(
        holds="Which files the processes have loaded. Private.", key="The process.", readers="canonicalize only"
    ),
    topics.changelog(topics.Stage.HOT_SYMBOLS, topics.PARTIAL_COUNTS_TABLE): TopicWords(
        holds="State of the hot-symbols stage: counts of a partition.", key="The symbol."
    ),
    topics.changelog(topics.Stage.HOT_SYMBOLS, topics.HOT_SYMBOLS_TABLE): TopicWords(
        holds="State of the hot-symbols stage: rows.", key="The symbol."
    ),
    topics.changelog(topics.Stage.HOT_SYMBOLS, topics.NODE_COVERAGE_TABLE): TopicWords(
        holds="State of the hot-symbols stage: coverage of nodes.",
        key="The node.",
        readers="the pipeline, and `callstream hot-symbols`, which looks for counts that may be doubled",
    ),
}


def writers(topic: str) -> list[str]:
    """Who writes a topic: stages by the pipeline's picture, and ingest and people, who are not stages."""
    found = [shape.stage.value for shape in PIPELINE if topic in (*shape.outputs, *_changelogs(shape.stage))]
    more = {topics.RAW: ["ingest"], topics.COVERAGE: ["ingest", "the stages", "`callstream nodes`"]}
    more[topics.PROBES] = more[topics.PLACEMENTS] = ["ingest"]
    more[topics.WATCH] = ["`callstream watch`, and services that ask"]
    return more.get(topic, []) + found


def stage_readers(topic: str) -> list[str]:
    """The stages that read a topic."""
    return [
        shape.stage.value for shape in PIPELINE if topic in (*shape.sources, *shape.follows, *_changelogs(shape.stage))
    ]


def _changelogs(stage: topics.Stage) -> list[str]:
    shape = next(one for one in PIPELINE if one.stage is stage)
    return [topics.changelog(stage, table) for table in shape.tables]
