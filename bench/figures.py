"""What benchmarks measure and how they write it down: CPU by process, tables, and recorded results.

Figures of one run belong together: these machines are shared and drift, so rows are compared within a run and never
across runs. CPU is the kernel's accounting of a process (user and system time of all its threads), divided by the
events of the run.
"""

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what was measured, and its figures by column."""

    name: str
    figures: Mapping[str, float | int | str]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one run, with the settings that they share and what to read out of them."""

    title: str
    settings: Mapping[str, str | int | float]
    rows: Sequence[Row]
    note: str = ""


def cpu_seconds(pid: int) -> float:
    """User and system time that a running process has taken, all threads together (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def resident_mbytes(pid: int) -> float:
    """Memory that a running process holds."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def text_of(table: Table) -> str:
    """The table as aligned text."""
    columns = list(dict.fromkeys(column for row in table.rows for column in row.figures))
    cells = [
        ["", *columns],
        *[[row.name, *[_cell(row.figures.get(column, "")) for column in columns]] for row in table.rows],
    ]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns) + 1)]
    lines = [table.title, "-" * len(table.title)]
    for line in cells:
        rest = "  ".join(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        lines.append(f"{line[0].ljust(widths[0])}  {rest}")
    lines.append("")
    lines += [f"{name}: {value}" for name, value in table.settings.items()]
    return "\n".join([*lines, *([table.note] if table.note else []), ""])


def record(name: str, tables: Sequence[Table]) -> Path:
    """Write tables to bench/results as text and JSON, with the machine and the commit that they are of."""
    RESULTS.mkdir(exist_ok=True)
    about = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit(), **_machine()}
    text = "\n".join([f"{key}: {value}" for key, value in about.items()] + [""] + [text_of(table) for table in tables])
    (RESULTS / f"{name}.txt").write_text(text, encoding="utf-8")
    content = {
        **about,
        "tables": [
            {
                "title": table.title,
                "settings": dict(table.settings),
                "rows": [{"name": row.name, **row.figures} for row in table.rows],
                "note": table.note,
            }
            for table in tables
        ],
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _cell(value: float | str) -> str:
    match value:
        case float():
            return f"{value:,.2f}" if abs(value) < 1000 else f"{value:,.0f}"
        case int():
            return f"{value:,}"
        case _:
            return value


def _machine() -> dict[str, str]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    return {"cpu": f"{os.cpu_count()} × {model}", "python": platform.python_version(), "kernel": platform.release()}


def recorded(name: str) -> list[Table]:
    """The tables that were recorded last; none where nothing was."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return []
    return [
        Table(
            table["title"],
            table["settings"],
            [Row(row["name"], {key: value for key, value in row.items() if key != "name"}) for row in table["rows"]],
            table["note"],
        )
        for table in json.loads(path.read_text(encoding="utf-8"))["tables"]
    ]


def commit() -> str:
    """The commit that is checked out."""
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
