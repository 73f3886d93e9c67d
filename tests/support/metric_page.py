"""Writes docs/metrics.md, the list of all metrics, from the table: `python -m tests.support.metric_page`."""

from pathlib import Path
from typing import Final

from app.telemetry import metrics
from app.telemetry.metric import Metric, Process

PATH: Final = Path(__file__).parents[2] / "docs" / "metrics.md"

_HEAD: Final = """# Metrics

Every process serves these on `/metrics`, at `CALLSTREAM_HTTP_HOST` and `CALLSTREAM_HTTP_PORT`. No label ever holds data
of an event. `docs/alerts.md` has the alerts on them. A restart shows in `process_start_time_seconds`, CPU and memory in
`process_cpu_seconds_total` and `process_resident_memory_bytes`.

"""

_OF: Final = {Process.ANY: "Of every process", Process.INGEST: "Of ingest", Process.STAGE: "Of the stages"}


def text() -> str:
    """The page's content."""
    parts = []
    for process, title in _OF.items():
        rows = [_row(metric) for metric in metrics.ALL if metric.process is process]
        parts.append(
            f"## {title}\n\n| metric | type, unit | what it says | bad |\n| --- | --- | --- | --- |\n" + "".join(rows)
        )
    return _HEAD + "\n".join(parts)


def _row(metric: Metric) -> str:
    labels = f"{{{', '.join(label.name for label in metric.labels)}}}" if metric.labels else ""
    told, bad = (part.replace("|", "\\|") for part in (metric.help, metric.bad))
    return f"| `{metric.name}{labels}` | {metric.kind.value}, {metric.unit} | {told} | {bad} |\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
