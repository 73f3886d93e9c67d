"""Every metric of callstream in one table: name, kind, labels, unit, and what a bad value means.

A metric is declared here or it does not exist. A label never carries event data: its values are a closed set,
or words of the program and of its policy files, which `Label` limits in form and number. Counters of the books:

- ingest: received + restored = written{tetragon.raw} + dropped + buffered (all places)
- a stage: consumed = finished + in flight, and finished = converted + not_calls + dead_letters + duplicates skipped,
  where finished is of the stage's source; written{its topic} follows converted
- the pipeline: received - dropped - buffered = calls + not_calls + dead_letters + in flight

These hold in every scrape of processes that started together; `callstream books` adds what outlives a process.
What is in force and how far the stages are (policy, snapshot, certificates, lag of all groups) is in `state_metrics`.

`meter` keeps the values, and `http` serves them.
"""

from functools import partial
from typing import Final

from agents.privacy.redaction.answers import MASKED_WHOLE
from app.telemetry.metric import (
    CAUSE,
    PARTITION,
    REASON,
    STAGE,
    TOPIC,
    BufferPlace,
    DropReason,
    HttpPort,
    Label,
    Metric,
    MetricKind,
    Process,
    QueryOutcome,
)
from app.telemetry.state_metrics import STATE
from schemas.probe_types import NOT_CALL_TYPES, PROBE_TYPES
from schemas.topics import Stage

INGEST_PROCESS: Final = "ingest"

_ingest_counter: Final = partial(Metric, process=Process.INGEST, kind=MetricKind.COUNTER)
_ingest_gauge: Final = partial(Metric, process=Process.INGEST, kind=MetricKind.GAUGE)
_stage_counter: Final = partial(Metric, process=Process.STAGE, kind=MetricKind.COUNTER)
_stage_gauge: Final = partial(Metric, process=Process.STAGE, kind=MetricKind.GAUGE)

PROCESS_INFO: Final = Metric(
    name="runtime_process_info",
    process=Process.ANY,
    kind=MetricKind.GAUGE,
    unit="bool",
    help="1 for what this process is: ingest, or one of the stages.",
    bad="Missing: something else answers at the address.",
    labels=(Label(name="process", values=(INGEST_PROCESS, *(stage.value for stage in Stage))),),
)

RECEIVED: Final = _ingest_counter(
    name="runtime_events_received_total",
    unit="events",
    help="Events that arrived from Tetragon.",
    bad="Flat while the node works: the stream is down or filtered empty. Much Unknown: Tetragon is newer than we are.",
    labels=(Label(name="probe_type", values=PROBE_TYPES + NOT_CALL_TYPES),),
)
RESTORED: Final = _ingest_counter(
    name="runtime_events_restored_total",
    unit="events",
    help="Events that an earlier process had received and left in the spill folder.",
    bad="Not bad in itself; it was preceded by a stop while Kafka was unreachable.",
)
RELOADS_REFUSED: Final = _ingest_counter(
    name="runtime_ingest_reloads_refused_total",
    unit="reloads",
    help="SIGHUPs after which this ingest went on, because its successor did not take over.",
    bad="Any: changed files, or a new version, are not in force. The log says why.",
)
DROPPED: Final = _ingest_counter(
    name="runtime_events_dropped_total",
    unit="events",
    help="Events received and given up before the broker had them, by reason. Each is covered by a gap.",
    bad="Any growth: these events are lost. Look at Kafka first, then at the buffer's limits.",
    labels=(Label(name="reason", values=tuple(DropReason)),),
)
UNDECODABLE: Final = _ingest_counter(
    name="runtime_events_undecodable_total",
    unit="events",
    help="Received events that do not parse as GetEventsResponse. They are written to the raw topic all the same.",
    bad="Any growth: the peer is not Tetragon, or a proxy damages the stream.",
)
BUFFERED: Final = _ingest_gauge(
    name="runtime_events_buffered",
    unit="events",
    help="Events received and not yet acknowledged by the broker, by where they wait.",
    bad="memory or disk staying above zero: Kafka is slower than the node.",
    labels=(Label(name="place", values=tuple(BufferPlace)),),
)
BUFFERED_BYTES: Final = _ingest_gauge(
    name="runtime_bytes_buffered",
    unit="bytes",
    help="Bytes of the events that wait in memory and on disk.",
    bad="Near CALLSTREAM_BUFFER_MAX_BYTES or CALLSTREAM_SPILL_MAX_BYTES: events will be dropped soon.",
    labels=(Label(name="place", values=(BufferPlace.MEMORY, BufferPlace.DISK)),),
)
READING_STOPPED: Final = _ingest_counter(
    name="runtime_reading_stopped_seconds_total",
    unit="seconds",
    help="Time in which ingest did not read, so that flow control held the agent back.",
    bad="Growth: Tetragon's own queue (10,000 events by default) may have overflowed meanwhile; see AgentLoss gaps.",
)
STREAM_UP: Final = _ingest_gauge(
    name="runtime_stream_up",
    unit="bool",
    help="1 while the GetEvents stream is open.",
    bad="0 for longer than a restart of the agent takes.",
)
STREAM_ENDS: Final = _ingest_counter(
    name="runtime_stream_ends_total",
    unit="streams",
    help="Streams that ended or could not be opened, by gRPC status name.",
    bad="Steady growth: see the log for what the status means.",
    labels=(Label(name="status", limit=20),),
)
LAST_RECEIVED: Final = _ingest_gauge(
    name="runtime_last_event_received_timestamp_seconds",
    unit="seconds",
    help="When an event last arrived, Unix time; 0 before the first.",
    bad="Old on a busy node: the stream is open and silent.",
)
LAST_ACKNOWLEDGED: Final = _ingest_gauge(
    name="runtime_last_acknowledgement_timestamp_seconds",
    unit="seconds",
    help="When the broker last acknowledged a record, Unix time; 0 before the first.",
    bad="Old while events wait: Kafka is unreachable.",
)
GAPS: Final = _ingest_counter(
    name="runtime_coverage_gaps_total",
    unit="records",
    help="Records acknowledged on runtime.coverage, by cause; Heartbeat is the record of completeness.",
    bad="Any cause but Heartbeat growing: consumers cannot trust the window. Heartbeat flat: they cannot tell.",
    labels=(CAUSE,),
)
GAP_EVENTS: Final = _ingest_counter(
    name="runtime_coverage_events_lost_total",
    unit="events",
    help="Events lost in gaps whose number is known, by cause.",
    bad="Any growth.",
    labels=(CAUSE,),
)
GAPS_PENDING: Final = _ingest_gauge(
    name="runtime_coverage_gaps_pending",
    unit="records",
    help="Coverage records that the broker has not acknowledged yet; they are kept on disk.",
    bad="Above zero for minutes: runtime.coverage cannot be written.",
)
COMPLETE_UNTIL: Final = _ingest_gauge(
    name="runtime_complete_until_timestamp_seconds",
    unit="seconds",
    help="End of the last window that a heartbeat vouched for, Unix time.",
    bad="Standing still: ingest is blind or behind.",
)
AGENT_LOST: Final = _ingest_counter(
    name="runtime_agent_events_lost_total",
    unit="events",
    help="Growth of Tetragon's own counters of losses, errors and missed probes, as scraped from its metrics page.",
    bad="Any growth: the agent drops before we can read.",
    labels=(
        Label(
            name="counter",
            values=(
                "tetragon_notify_overflowed_events_total",
                "tetragon_bpf_missed_events_total",
                "tetragon_observer_ringbuf_events_lost_total",
                "tetragon_observer_ringbuf_queue_events_lost_total",
                "tetragon_observer_ringbuf_errors_total",
                "tetragon_handler_errors_total",
                "tetragon_missed_prog_probes_total",
                "tetragon_missed_link_probes_total",
                "tetragon_generic_kprobe_merge_errors_total",
                "tetragon_generic_kprobe_merge_total",
            ),
        ),
    ),
)
AGENT_SCRAPE_ERRORS: Final = _ingest_counter(
    name="runtime_agent_scrape_errors_total",
    unit="scrapes",
    help="Scrapes of Tetragon's metrics page that failed.",
    bad="Growth: losses inside the agent go unseen.",
)

CONSUMED: Final = _stage_counter(
    name="runtime_records_consumed_total",
    unit="records",
    help="Records handed to a stage, by topic; after a restart the unfinished ones are handed out again.",
    bad="Flat while lag grows: the stage is stuck.",
    labels=(TOPIC,),
)
IN_FLIGHT: Final = _stage_gauge(
    name="runtime_records_in_flight",
    unit="records",
    help="Records handed to a stage and not yet finished.",
    bad="At its limit for long: outputs are not acknowledged.",
)
FINISHED: Final = _stage_counter(
    name="runtime_records_finished_total",
    unit="records",
    help="Records of which all that followed is acknowledged, by topic.",
    bad="Flat while records are consumed.",
    labels=(TOPIC,),
)
WRITTEN: Final = Metric(
    name="runtime_records_written_total",
    process=Process.ANY,
    kind=MetricKind.COUNTER,
    unit="records",
    help="Records that the broker has acknowledged, by topic.",
    bad="Flat while records are consumed.",
    labels=(TOPIC,),
)
CONVERTED: Final = _stage_counter(
    name="runtime_events_converted_total",
    unit="events",
    help="Events that this stage turned into its output.",
    bad="Falling behind runtime_records_consumed_total without dead letters or not-calls.",
)
CONVERSION_MS: Final = Metric(
    name="runtime_event_conversion_duration_ms",
    process=Process.STAGE,
    kind=MetricKind.HISTOGRAM,
    unit="milliseconds",
    help="Time to convert one event: a batch's time divided by its events, counted once for each of them.",
    bad="A 99.9th percentile above 1 ms.",
    bounds=(0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0),
)
NOT_CALLS: Final = _stage_counter(
    name="runtime_events_not_calls_total",
    unit="events",
    help="Raw events that rightly produce no call, by reason.",
    bad="Not bad in itself.",
    labels=(REASON,),
)
DEAD_LETTERS: Final = _stage_counter(
    name="runtime_dead_letters_total",
    unit="records",
    help="Records that a stage could not process, by stage and reason.",
    bad="Any growth; a jump after a deployment: roll back; `callstream dead-letters` lists and retries them.",
    labels=(STAGE, REASON),
)
REFUSED: Final = _stage_counter(
    name="runtime_records_refused_total",
    unit="records",
    help="Records that could not be used and are not dead letters, by topic and reason; the log has positions.",
    bad="Any growth: a program that is not callstream writes the topic, or its schema is not registered.",
    labels=(TOPIC, REASON),
)
SKIPPED: Final = _stage_counter(
    name="runtime_records_skipped_total",
    unit="records",
    help="Records that a stage never read, by topic: deleted before it came to them, or passed by a moved group.",
    bad="Any: events are lost. `callstream coverage` shows the gap, `callstream books` where; raise the retention.",
    labels=(TOPIC,),
)
OFFSETS_LOST: Final = _stage_counter(
    name="runtime_offsets_lost_total",
    unit="partitions",
    help="Partitions whose committed offsets were gone at a start, though there were results of them, by source topic.",
    bad="Any: the stage was away for longer than offsets.retention.minutes, or its group was deleted; it reads again.",
    labels=(TOPIC,),
)
FRAMES: Final = _stage_counter(
    name="runtime_frames_total",
    unit="frames",
    help="Stack frames of converted events, by how well they were resolved.",
    bad="A large share of NoSymbolTable or ModuleOnly: add the binaries with `callstream symbols add`. Ambiguous: see "
    "`callstream symbols list`.",
    labels=(Label(name="resolution"),),
)
UNKNOWN_FIELDS: Final = _stage_counter(
    name="runtime_unknown_fields_total",
    unit="fields",
    help="Fields of events that this version does not know, by message and field number.",
    bad="Any: the agent is newer than this version, and what the field says, a stack for example, is dropped.",
    labels=(Label(name="message_type"), Label(name="field_number")),
)
REDACTIONS: Final = _stage_counter(
    name="runtime_redactions_total",
    unit="values",
    help="Values that the privacy filter changed, by rule.",
    bad="A rule that fell to zero after a change of policy.",
    labels=(Label(name="rule", limit=512),),
)
TEXTS_MASKED_WHOLE: Final = _stage_counter(
    name="runtime_texts_masked_whole_total",
    unit="texts",
    help="Texts of which nothing left, because the privacy filter could not take them apart, by rule.",
    bad="`intricate` grows: nothing leaks, but calls lose whole arguments; see which programs with `callstream tap`. "
    "`address`: an agent sends something else where an address belongs.",
    labels=(Label(name="rule", values=MASKED_WHOLE),),
)
POLICY_RELOADS: Final = _stage_counter(
    name="runtime_policy_reloads_total",
    unit="reloads",
    help="Reloads of the privacy policy on SIGHUP, by outcome.",
    bad="`refused`: the policy file or the key cannot be used, and the old policy stays in force. The log says why.",
    labels=(Label(name="outcome", values=("applied", "refused")),),
)
VOUCHED_TWICE_UNTIL: Final = _stage_gauge(
    name="runtime_vouched_twice_until_timestamp_seconds",
    unit="seconds",
    help="Up to when two ingests vouched for one node at once, Unix time; 0 if none did. The log names the node.",
    bad="Near the present: events are counted twice, or two agents have one name.",
)
HOT_PUBLISHED: Final = _stage_counter(
    name="hot_symbols_published_total",
    unit="records",
    help="Hot symbol rows that the broker acknowledged.",
    bad="Flat while calls arrive.",
)
HOT_EXPIRED: Final = _stage_counter(
    name="hot_symbols_expired_total",
    unit="rows",
    help="Rows removed because their symbols were not hit for CALLSTREAM_HOT_SYMBOL_EXPIRY_DAYS.",
    bad="As fast as rows are published: recorded events of long ago are replayed into a live table.",
)
HOT_QUERIES: Final = _stage_counter(
    name="hot_symbols_queries_total",
    unit="queries",
    help="Questions to /hot-symbols, by outcome.",
    bad="`host` or `token`: somebody tries the door. `incomplete`: workers do not reach each other; /readyz says why.",
    labels=(Label(name="outcome", values=tuple(QueryOutcome)),),
)
OWNER_REFUSALS: Final = _stage_counter(
    name="hot_symbols_owner_refusals_total",
    unit="records",
    help="Records of runtime.hot-owners that do not hold a worker and its address. The log has their positions.",
    bad="Any growth: another program writes the topic, or workers of different versions run side by side.",
)
CONNECTIONS_CUT: Final = Metric(
    name="runtime_http_connections_cut_total",
    process=Process.ANY,
    kind=MetricKind.COUNTER,
    unit="connections",
    help="Connections that were cut off to make room for newer ones, by port.",
    bad="Growth: clients hold connections and send no request.",
    labels=(Label(name="port", values=tuple(HttpPort)),),
)
DUPLICATES: Final = _stage_counter(
    name="runtime_duplicates_skipped_total",
    unit="records",
    help="Records that this stage had counted before and left out, by stage.",
    bad="Growth without restarts or rebalances.",
    labels=(STAGE,),
)
LAG: Final = _stage_gauge(
    name="runtime_consumer_lag_records",
    unit="records",
    help="Records between the committed offset and the broker's own end of the partition.",
    bad="Growing.",
    labels=(TOPIC, PARTITION),
)
COMMITS: Final = _stage_counter(
    name="runtime_commits_total",
    unit="commits",
    help="Offset commits that the broker accepted.",
    bad="Flat while records are consumed.",
)
LAST_COMMIT: Final = _stage_gauge(
    name="runtime_last_commit_timestamp_seconds",
    unit="seconds",
    help="When offsets were last committed, Unix time; 0 before the first.",
    bad="Old while lag grows: the watchdog will end the process.",
)
REBALANCES: Final = _stage_counter(
    name="runtime_rebalances_total",
    unit="rebalances",
    help="Times that partitions were assigned to this process.",
    bad="Steady growth: workers join and leave.",
)

_HERE: Final = tuple(value for value in list(globals().values()) if isinstance(value, Metric))

ALL: Final = (*_HERE, *STATE)
"""The table, in the order above, and then what `state_metrics` adds."""


def metrics_of(process: Process) -> tuple[Metric, ...]:
    """Metrics that such a process shows, in the order of the table."""
    return tuple(metric for metric in ALL if metric.process in {process, Process.ANY})
