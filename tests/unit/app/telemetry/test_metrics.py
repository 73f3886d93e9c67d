import json
import re
from pathlib import Path

from app.telemetry.metric import CAUSE, MetricKind, Process
from app.telemetry.metrics import ALL, metrics_of
from schemas.probe_types import PROBE_TYPES
from tests.support import metric_page

SCHEMAS = Path(__file__).parents[4] / "schemas" / "avro"


def _symbols(schema_file: str, enum: str) -> tuple[str, ...]:
    found = re.search(
        rf'"name": "{enum}",\s*"doc": "[^"]*",\s*"symbols": (\[[^\]]*\])', (SCHEMAS / schema_file).read_text()
    )
    assert found
    return tuple(json.loads(found[1]))


def test_public_names_are_in_the_table() -> None:
    """The five names that people script against exist, with the labels that they expect."""
    by_name = {metric.name: metric for metric in ALL}

    assert [label.name for label in by_name["runtime_events_received_total"].labels] == ["probe_type"]
    assert [label.name for label in by_name["runtime_events_dropped_total"].labels] == ["reason"]
    assert by_name["runtime_events_converted_total"].labels == ()
    assert by_name["runtime_event_conversion_duration_ms"].kind is MetricKind.HISTOGRAM
    assert by_name["hot_symbols_published_total"].kind is MetricKind.COUNTER


def test_names_follow_prometheus_rules_and_are_unique() -> None:
    """Counters end in _total, nothing else does, and no two metrics share a name."""
    assert len({metric.name for metric in ALL}) == len(ALL)
    for metric in ALL:
        assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER), metric.name
        assert metric.help.endswith(".")
        assert metric.bad.endswith(".")


def test_closed_label_sets_are_those_of_the_avro_enums() -> None:
    """A new probe type or gap cause in a schema has its label value."""
    assert _symbols("runtime_call_event.avsc", "ProbeType") == PROBE_TYPES
    assert _symbols("coverage_gap.avsc", "GapCause") == CAUSE.values


def test_no_label_is_named_like_event_data() -> None:
    """Labels are the vocabulary of the program: an open set of values would carry data and grow without end."""
    names = {label.name for metric in ALL for label in metric.labels}

    assert names == {
        "probe_type", "reason", "topic", "stage", "cause", "partition", "place",
        "port", "status", "counter", "resolution",
        "rule", "process", "outcome", "message_type", "field_number",
        "version", "commit", "prefix", "check", "certificate", "policy_id", "snapshot", "answer", "state",
    }  # fmt: skip


def test_a_process_shows_its_own_metrics_only() -> None:
    """Ingest has no lag, a stage receives nothing from Tetragon, both write records."""
    ingest = {metric.name for metric in metrics_of(Process.INGEST)}
    stage = {metric.name for metric in metrics_of(Process.STAGE)}

    assert ingest & stage == {
        "runtime_records_written_total",
        "runtime_process_info",
        "runtime_http_connections_cut_total",
        "runtime_build_info",
        "runtime_deployment_info",
        "runtime_ready",
        "runtime_registry_up",
        "runtime_certificate_not_after_timestamp_seconds",
    }
    assert ingest | stage == {metric.name for metric in ALL}


def test_the_page_of_metrics_is_what_the_table_says() -> None:
    """`python -m tests.support.metric_page` writes it."""
    assert metric_page.PATH.read_text(encoding="utf-8") == metric_page.text()
