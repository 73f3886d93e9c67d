"""`callstream doctor`: checks settings and everything that they name, and says what to do."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Final

import click

from app.doctor.coverage_check import check_coverage
from app.doctor.findings import Area, Check, CheckFinding, CheckVerdict
from app.doctor.kafka_checks import check_kafka, check_registry, check_topics
from app.doctor.local_checks import check_privacy, check_settings, check_symbols, read_settings
from app.doctor.tetragon_check import check_tetragon
from app.operators.printing import Styled, echo, print_answer
from app.settings import Settings, known_variables

FAILING: Final = 1
"""Exit code if a check fails; with --strict, also if there is a warning."""

_CHECKS: Final[Mapping[Area, Check]] = {
    Area.SETTINGS: check_settings,
    Area.TETRAGON: check_tetragon,
    Area.KAFKA: check_kafka,
    Area.TOPICS: check_topics,
    Area.REGISTRY: check_registry,
    Area.COVERAGE: check_coverage,
    Area.SYMBOLS: check_symbols,
    Area.PRIVACY: check_privacy,
}
_COLOURS: Final = {CheckVerdict.OK: "green", CheckVerdict.WARN: "yellow", CheckVerdict.FAIL: "red"}
_ASKS_FOR: Final = {Area.TOPICS: Area.KAFKA, Area.COVERAGE: Area.KAFKA}
"""An area that cannot be checked if another one fails."""


@click.command(name="doctor")
@click.argument("areas", nargs=-1, type=click.Choice([area.value for area in Area]), metavar="[AREA]...")
@click.option(
    "--settings", "show_settings", is_flag=True, help="Print every setting, with its default and its purpose."
)
@click.option("--strict", is_flag=True, help="Treat warnings as failures.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(areas: tuple[str, ...], *, show_settings: bool, strict: bool, as_json: bool) -> None:
    """Check settings and everything that they name, and say what to do.

    The areas are settings, tetragon, kafka, topics, registry, coverage, symbols and privacy. Without an area, all are
    checked. Leave areas out where they do not apply: a host that runs no ingest needs no tetragon. The command changes
    nothing.

    \b
    Exit codes:
      0  no check failed
      1  a check failed; with --strict, also if there is a warning
      2  wrong options
    Example:
      callstream doctor
      callstream doctor kafka topics registry --json
      callstream doctor --settings
    """
    if show_settings:
        _print_settings(as_json=as_json)
        return
    wanted = [Area(area) for area in dict.fromkeys(areas)] or list(Area)
    found: list[tuple[Area, CheckFinding]] = []
    for area, finding in _findings(wanted):
        found.append((area, finding))
        if not as_json:
            _print(area, finding)
    counts = Counter(finding.verdict for _, finding in found)
    failed = counts[CheckVerdict.FAIL] + (counts[CheckVerdict.WARN] if strict else 0)
    document = {
        "healthy": not failed,
        "findings": [
            {"area": area, "verdict": finding.verdict, "what": finding.what, "remedy": finding.remedy or None}
            for area, finding in found
        ],
    }
    print_answer(document, [", ".join(f"{counts[verdict]} {verdict}" for verdict in CheckVerdict)], as_json=as_json)
    sys.exit(FAILING if failed else 0)


def _findings(wanted: list[Area]) -> Iterator[tuple[Area, CheckFinding]]:
    """All findings. Wrong settings are always reported, because nothing can be checked with them."""
    settings, first = read_settings(os.environ)
    if settings is None or Area.SETTINGS in wanted:
        yield from ((Area.SETTINGS, finding) for finding in first)
    if settings is None:
        return
    failing: set[Area] = set()
    for area in wanted:
        if _ASKS_FOR.get(area) in failing:
            continue
        for finding in _CHECKS[area](settings):
            if finding.verdict is CheckVerdict.FAIL:
                failing.add(area)
            yield area, finding


def _print(area: Area, finding: CheckFinding) -> None:
    verdict = Styled(f"{finding.verdict:<4}", colour=_COLOURS[finding.verdict])
    echo(f"{area:<9} ", verdict, f"  {finding.what}")
    if finding.remedy:
        echo(f"{'':<14}  → {finding.remedy}")


def _print_settings(*, as_json: bool) -> None:
    """The table of settings: secrets are files, so nothing in it is one."""
    rows = [
        {
            "name": name,
            "default": None if f.default in {None, "", ()} else str(f.default),
            "value": os.environ.get(name, "").strip() or None,
            "what": what,
        }
        for f, (name, what) in zip(fields(Settings), known_variables().items(), strict=True)
    ]
    print_answer({"settings": rows}, _settings_lines(rows), as_json=as_json)


def _settings_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str | Styled]:
    for row in rows:
        shown = f"{row['name']}={row['value']}" if row["value"] else row["name"]
        yield Styled(shown, is_bold=row["value"] is not None)
        yield f"    {row['what']}; default: {row['default'] or 'none'}"
