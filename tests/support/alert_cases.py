"""For each alert, series that make it fire and series that must not, as `promtool test rules` takes them.

Values are promtool's own notation, with a sample every 30 s, or 5 min where a case takes hours: `0x20` is twenty more
zeros, `0+5x20` grows by five.
"""

from dataclasses import dataclass
from typing import Final

STAGE: Final = 'job="callstream-stages",instance="p:1"'
"""A process of the privacy stage, as `IS_STAGE` says."""

INGEST: Final = 'job="callstream-ingest",instance="n:1"'
IS_STAGE: Final = {f'runtime_process_info{{{STAGE},process="privacy"}}': "1x900"}
FOREIGN: Final = 'job="someone-elses-postgres",instance="pg:9187"'

_OF_STAGE: Final = {"stage": "privacy", "node": "p:1"}
_OF_INGEST: Final = {"stage": "ingest", "node": "n:1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCase:
    """One alert, at one time: with `fires` it has these labels, and with `quiet` it is not there."""

    alert: str
    at: str
    fires: dict[str, str]
    labels: dict[str, str]
    quiet: dict[str, str]

    @property
    def interval(self) -> str:
        """Between two samples."""
        return "5m" if self.at.endswith("h") else "30s"


def _stage_counter(name: str, alert: str, more: str, *, labels: dict[str, str], at: str = "10m") -> AlertCase:
    series = f"{name}{{{STAGE},{more}}}"
    return AlertCase(alert=alert, at=at, fires={**IS_STAGE, series: "0+50x120"}, labels=labels, quiet={series: "7x60"})


def _first_one(name: str, alert: str, more: str, *, labels: dict[str, str]) -> AlertCase:
    """A series that begins with the first of its kind, where labels are words that are not known before."""
    series = f"{name}{{{STAGE},{more}}}"
    return AlertCase(
        alert=alert, at="10m", fires={**IS_STAGE, series: "_x17 1x60"}, labels=labels, quiet={series: "1x60"}
    )


def _ingest_counter(name: str, alert: str, more: str = "", *, at: str = "10m") -> AlertCase:
    series = f"{name}{{{INGEST}{',' if more else ''}{more}}}"
    return AlertCase(alert=alert, at=at, fires={series: "0+5x60"}, labels=_OF_INGEST, quiet={series: "7x60"})


def _gauge(name: str, alert: str, good: str, bad: str, *, at: str = "10m", of: str = INGEST) -> AlertCase:
    labels = _OF_INGEST if INGEST in of else _OF_STAGE
    return AlertCase(
        alert=alert, at=at, fires={**IS_STAGE, f"{name}{{{of}}}": bad}, labels=labels, quiet={f"{name}{{{of}}}": good}
    )


_DISK: Final = f'{INGEST},place="disk"'
_LAG: Final = f'{{{STAGE},stage="privacy",topic="runtime.canonical"}}'
_OWN_LAG: Final = f'runtime_consumer_lag_records{{{STAGE},topic="runtime.canonical",partition="0"}}'
_CERTIFICATE: Final = (
    f'runtime_certificate_not_after_timestamp_seconds{{{STAGE},certificate="CALLSTREAM_KAFKA_SSL_CA_FILE"}}'
)
_VERSION: Final = f'runtime_build_info{{{STAGE},version="1",commit="a"}}'
_OTHER_VERSION: Final = f'runtime_build_info{{{INGEST},version="1",commit="b"}}'
_POLICY: Final = f'runtime_privacy_policy_info{{{STAGE},policy_id="a"}}'
_OTHER_POLICY: Final = 'runtime_privacy_policy_info{job="callstream-stages",instance="p:2",policy_id="b"}'
_BUCKET: Final = "runtime_event_conversion_duration_ms_bucket"

CASES: Final = (
    AlertCase(
        alert="CallstreamProcessDown",
        at="10m",
        fires={**IS_STAGE, f"up{{{STAGE}}}": "1x5 0x40"},
        labels=_OF_STAGE,
        quiet={f"up{{{FOREIGN}}}": "0x40", f"up{{{STAGE}}}": "1x40"},
    ),
    AlertCase(  # a scrape job of another name: what has shown our metrics is ours
        alert="CallstreamProcessDown",
        at="10m",
        fires={
            'runtime_process_info{job="x",instance="p:1",process="privacy"}': "1x5 stale",
            'up{job="x",instance="p:1"}': "1x5 0x40",
        },
        labels=_OF_STAGE,
        quiet={'up{job="x",instance="p:1"}': "0x40"},
    ),
    AlertCase(
        alert="CallstreamRestartLoop",
        at="10m",
        fires={**IS_STAGE, f"process_start_time_seconds{{{STAGE}}}": "1x3 2x3 3x3 4x40"},
        labels=_OF_STAGE,
        quiet={
            f"process_start_time_seconds{{{FOREIGN}}}": "0+1x40",
            f"process_start_time_seconds{{{STAGE}}}": "1x4 2x40",
        },
    ),
    _gauge("runtime_ready", "CallstreamNotReady", "1x40", "0x40", of=f'{STAGE},check="lag"'),
    _gauge("runtime_registry_up", "CallstreamRegistryAway", "1x40", "0x40", of=STAGE),
    AlertCase(
        alert="CallstreamCertificateEndsSoon",
        at="10m",
        fires={**IS_STAGE, _CERTIFICATE: "864000x40"},
        labels=_OF_STAGE,
        quiet={_CERTIFICATE: "2592000x40"},
    ),
    AlertCase(
        alert="CallstreamCertificateEnds",
        at="10m",
        fires={**IS_STAGE, _CERTIFICATE: "0x40"},
        labels=_OF_STAGE,
        quiet={_CERTIFICATE: "864000x40"},
    ),
    AlertCase(
        alert="CallstreamVersionsDiffer",
        at="3h",
        fires={_VERSION: "1x40", _OTHER_VERSION: "1x40"},
        labels={"stage": "all"},
        quiet={_VERSION: "1x40", _OTHER_VERSION: "1x10 stale"},
    ),
    _stage_counter(
        "runtime_http_connections_cut_total", "CallstreamConnectionsCut", 'port="telemetry"', labels=_OF_STAGE
    ),
    _ingest_counter("runtime_events_dropped_total", "CallstreamEventsDropped", 'reason="overflow"'),
    _ingest_counter("runtime_events_dropped_total", "CallstreamSpillFull", 'reason="spill_full"'),
    AlertCase(
        alert="CallstreamSpillNearLimit",
        at="10m",
        fires={f"runtime_bytes_buffered{{{_DISK}}}": "800x40", f"runtime_buffer_limit_bytes{{{_DISK}}}": "1000x40"},
        labels=_OF_INGEST,
        quiet={f"runtime_bytes_buffered{{{_DISK}}}": "600x40", f"runtime_buffer_limit_bytes{{{_DISK}}}": "1000x40"},
    ),
    AlertCase(
        alert="CallstreamSpillDiskSmall",
        at="15m",
        fires={
            f"runtime_spill_disk_free_bytes{{{INGEST}}}": "500x40",
            f"runtime_bytes_buffered{{{_DISK}}}": "100x40",
            f"runtime_buffer_limit_bytes{{{_DISK}}}": "1000x40",
        },
        labels=_OF_INGEST,
        quiet={
            f"runtime_spill_disk_free_bytes{{{INGEST}}}": "950x40",
            f"runtime_bytes_buffered{{{_DISK}}}": "100x40",
            f"runtime_buffer_limit_bytes{{{_DISK}}}": "1000x40",
        },
    ),
    _ingest_counter(
        "runtime_agent_events_lost_total", "CallstreamAgentLosesEvents", 'counter="tetragon_bpf_missed_events_total"'
    ),
    _ingest_counter("runtime_agent_scrape_errors_total", "CallstreamAgentMetricsUnread", at="20m"),
    _gauge(
        "runtime_tracing_policies", "CallstreamPolicyNotLoaded", "0x60", "1x60", at="15m", of=f'{INGEST},state="Error"'
    ),
    _gauge(
        "runtime_tracing_policy_hooks",
        "CallstreamPolicyNotLoaded",
        "0x60",
        "2x60",
        at="15m",
        of=f'{INGEST},state="CallNotFound"',
    ),
    _gauge("runtime_stream_up", "CallstreamStreamDown", "1x40", "0x40"),
    _gauge("runtime_events_buffered", "CallstreamKafkaSlow", "0x40", "9x40", of=f'{INGEST},place="memory"'),
    AlertCase(  # a steady rate: what waits in a moment is written in the next
        alert="CallstreamKafkaSlow",
        at="10m",
        fires={
            f'runtime_events_buffered{{{INGEST},place="memory"}}': "9000x40",
            f'runtime_records_written_total{{{INGEST},topic="tetragon.raw"}}': "0+3000x40",
        },
        labels=_OF_INGEST,
        quiet={
            f'runtime_events_buffered{{{INGEST},place="memory"}}': "9x40",
            f'runtime_records_written_total{{{INGEST},topic="tetragon.raw"}}': "0+3000x40",
        },
    ),
    _ingest_counter("runtime_events_undecodable_total", "CallstreamUndecodable"),
    _gauge("runtime_event_receipt_delay_seconds", "CallstreamEventsLate", "2x60", "-90x60", at="15m"),
    _gauge("runtime_complete_until_timestamp_seconds", "CallstreamCoverageUnknown", "0+30x40", "0x40"),
    _ingest_counter("runtime_coverage_gaps_total", "CallstreamCoverageGaps", 'cause="Reconnect"', at="20m"),
    AlertCase(  # what vouches is not a loss
        alert="CallstreamCoverageGaps",
        at="20m",
        fires={f'runtime_coverage_gaps_total{{{INGEST},cause="AgentLoss"}}': "0x20 1x60"},
        labels=_OF_INGEST,
        quiet={f'runtime_coverage_gaps_total{{{INGEST},cause="Heartbeat"}}': "0+3x60"},
    ),
    _gauge("runtime_coverage_gaps_pending", "CallstreamGapsUnpublished", "0x60", "2x60", at="15m"),
    AlertCase(
        alert="CallstreamVouchedTwice",
        at="20m",
        fires={f"runtime_vouched_twice_until_timestamp_seconds{{{STAGE}}}": "1000x60"},
        labels={"stage": "hot-symbols"},
        quiet={f"runtime_vouched_twice_until_timestamp_seconds{{{STAGE}}}": "0x60"},
    ),
    AlertCase(  # told by another stage than the one that is behind
        alert="CallstreamStageBehind",
        at="10m",
        fires={
            'runtime_group_lag_seconds{instance="c:1",stage="privacy",topic="runtime.canonical"}': "400x60",
        },
        labels={"stage": "privacy", "topic": "runtime.canonical"},
        quiet={f"runtime_group_lag_seconds{_LAG}": "200x60"},
    ),
    AlertCase(  # told by others, while its own process is not there
        alert="CallstreamLagGrows",
        at="20m",
        fires={f"runtime_group_lag_records{_LAG}": "0+6000x60", _OWN_LAG: "0x10 stale"},
        labels={"stage": "privacy", "topic": "runtime.canonical"},
        quiet={f"runtime_group_lag_records{_LAG}": "90000-1000x60", _OWN_LAG: "0+6000x10 stale"},
    ),
    AlertCase(  # told by nobody: the last that it told of itself
        alert="CallstreamLagGrows",
        at="20m",
        fires={_OWN_LAG: "0+6000x10 stale _x60"},
        labels={"topic": "runtime.canonical"},
        quiet={_OWN_LAG: "0+500x10 stale _x60"},
    ),
    AlertCase(
        alert="CallstreamStageStuck",
        at="15m",
        fires={**IS_STAGE, _OWN_LAG: "5x60", f"runtime_commits_total{{{STAGE}}}": "9x60"},
        labels=_OF_STAGE,
        quiet={_OWN_LAG: "5x60", f"runtime_commits_total{{{STAGE}}}": "0+1x60"},
    ),
    AlertCase(
        alert="CallstreamRecordsSkipped",
        at="10m",
        fires={**IS_STAGE, f'runtime_records_skipped_total{{{STAGE},topic="runtime.canonical"}}': "3x40"},
        labels=_OF_STAGE,
        quiet={f'runtime_records_skipped_total{{{STAGE},topic="runtime.canonical"}}': "0x40"},
    ),
    AlertCase(
        alert="CallstreamOffsetsLost",
        at="10m",
        fires={**IS_STAGE, f'runtime_offsets_lost_total{{{STAGE},topic="runtime.canonical"}}': "3x40"},
        labels=_OF_STAGE,
        quiet={f'runtime_offsets_lost_total{{{STAGE},topic="runtime.canonical"}}': "0x40"},
    ),
    _stage_counter(
        "runtime_dead_letters_total", "CallstreamDeadLetters", 'stage="privacy",reason="x"', labels={"stage": "privacy"}
    ),
    _first_one(
        "runtime_dead_letters_total", "CallstreamDeadLetters", 'stage="privacy",reason="x"', labels={"stage": "privacy"}
    ),
    _first_one(
        "runtime_records_refused_total",
        "CallstreamRecordsRefused",
        'topic="runtime.coverage",reason="malformed"',
        labels=_OF_STAGE,
    ),
    AlertCase(
        alert="CallstreamFieldsUnknown",
        at="20m",
        fires={f'runtime_unknown_fields_total{{{STAGE},message_type="Process",field_number="99"}}': "_x37 1x60"},
        labels={"stage": "canonicalize"},
        quiet={f'runtime_unknown_fields_total{{{STAGE},message_type="Process",field_number="99"}}': "1x60"},
    ),
    AlertCase(
        alert="CallstreamDeadLettersOpen",
        at="7h",
        fires={f"runtime_dead_letters_open{{{STAGE}}}": "3x90"},
        labels={"stage": "all"},
        quiet={f"runtime_dead_letters_open{{{STAGE}}}": "3x60 0x30"},
    ),
    _stage_counter(
        "runtime_records_refused_total",
        "CallstreamRecordsRefused",
        'topic="runtime.coverage",reason="malformed"',
        labels=_OF_STAGE,
    ),
    _stage_counter(
        "hot_symbols_owner_refusals_total",
        "CallstreamOwnersRefused",
        'x=""',
        labels={"stage": "hot-symbols", "node": "p:1"},
    ),
    _stage_counter("runtime_rebalances_total", "CallstreamWorkersComeAndGo", 'x=""', labels=_OF_STAGE, at="20m"),
    _stage_counter(
        "runtime_duplicates_skipped_total",
        "CallstreamSentAgain",
        'stage="privacy"',
        labels={"stage": "privacy"},
        at="45m",
    ),
    _stage_counter(
        "runtime_unknown_fields_total",
        "CallstreamFieldsUnknown",
        'message_type="Process",field_number="99"',
        labels={"stage": "canonicalize"},
        at="20m",
    ),
    AlertCase(
        alert="CallstreamConversionSlow",
        at="20m",
        fires={
            **IS_STAGE,
            f'{_BUCKET}{{{STAGE},le="1.0"}}': "0+10x60",
            f'{_BUCKET}{{{STAGE},le="2.0"}}': "0+20x60",
            f'{_BUCKET}{{{STAGE},le="+Inf"}}': "0+20x60",
        },
        labels=_OF_STAGE,
        quiet={f'{_BUCKET}{{{STAGE},le="0.5"}}': "0+20x60", f'{_BUCKET}{{{STAGE},le="+Inf"}}': "0+20x60"},
    ),
    AlertCase(
        alert="CallstreamWatchedSymbolHit",
        at="30m",
        fires={f"runtime_watch_last_hit_timestamp_seconds{{{STAGE}}}": "1500x60"},
        labels={"stage": "hot-symbols"},
        quiet={
            f"runtime_watch_last_hit_timestamp_seconds{{{STAGE}}}": "0x60",
            f'runtime_watch_answers{{{STAGE},answer="Hit"}}': "2x60",
        },
    ),
    AlertCase(  # an event of long ago, as after a backlog
        alert="CallstreamWatchedSymbolHit",
        at="30m",
        fires={f'runtime_watch_answers{{{STAGE},answer="Hit"}}': "2x40 3x60"},
        labels={"stage": "hot-symbols"},
        quiet={f'runtime_watch_answers{{{STAGE},answer="NotSeen"}}': "2x40 3x60"},
    ),
    AlertCase(
        alert="CallstreamPolicyRefused",
        at="10m",
        fires={f'runtime_policy_reloads_total{{{STAGE},outcome="refused"}}': "0x5 1x40"},
        labels=_OF_STAGE,
        quiet={f'runtime_policy_reloads_total{{{STAGE},outcome="applied"}}': "0x5 1x40"},
    ),
    AlertCase(
        alert="CallstreamPoliciesDiffer",
        at="30m",
        fires={_POLICY: "1x60", _OTHER_POLICY: "1x60"},
        labels={"stage": "privacy"},
        quiet={_POLICY: "1x60", _OTHER_POLICY.replace('"b"', '"a"'): "1x60"},
    ),
)
