"""The answer of `callstream top` as lines for people and as JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from app.operators.printing import Styled
from app.operators.times import time_text
from app.telemetry.metric_pages import UnreadPage
from app.top.process_rates import PageReading, ProcessRates, causes_of, stage_lags, together
from schemas.units import NS_PER_SECOND

Line = tuple[str | Styled, ...]
"""One line, in parts."""

_Cell = Callable[[ProcessRates], str | Styled]


def document(rows: Sequence[ProcessRates], reading: PageReading) -> dict[str, Any]:
    """All of it as one JSON document: every process, and the sums for each kind of process."""
    return {
        "time": _time(reading.time),
        "kinds": [_numbers(row) for row in together(rows, stage_lags(reading.found))],
        "processes": [asdict(row) for row in rows],
        "unread": [asdict(one) for one in reading.unread],
    }


def lines(rows: Sequence[ProcessRates], reading: PageReading) -> Iterator[Line]:
    """What matters most comes first, because a screen may be too short: sums, trouble, then each process."""
    unread = reading.unread
    answered = f"{len(rows)} of {len(rows) + len(unread)} processes answer"
    yield (_time(reading.time), "  ", Styled(answered, colour="red") if unread else answered)
    yield ()
    yield from _table(together(rows, stage_lags(reading.found)), _OF_A_KIND)
    yield ()
    yield from _trouble(rows, unread)
    yield from _table(rows, _OF_ONE)


def _trouble(rows: Sequence[ProcessRates], unread: Sequence[UnreadPage]) -> Iterator[Line]:
    for one in unread:
        yield (Styled("does not answer: ", colour="red", is_bold=True), f"{one.address}  {one.reason}")
    for row in rows:
        if row.not_ready:
            said = f"{row.process} at {row.address}  {', '.join(row.not_ready)}; see /readyz"
            yield (Styled("not ready: ", colour="red", is_bold=True), said)
    versions = sorted({row.version for row in rows if row.version})
    if len(versions) > 1:
        yield (Styled("several versions: ", colour="red", is_bold=True), ", ".join(versions))
    for what, counts in causes_of(rows).items():
        said = ", ".join(f"{cause} {count:,}" for cause, count in sorted(counts.items(), key=lambda one: -one[1]))
        yield (Styled(f"{what}: ", is_bold=True), said)


def _time(time: float) -> str:
    return time_text(int(time) * NS_PER_SECOND)


def _numbers(row: ProcessRates) -> Mapping[str, Any]:
    return {name: value for name, value in asdict(row).items() if name not in {"address", "causes"}}


def _table(rows: Sequence[ProcessRates], columns: Mapping[str, _Cell]) -> Iterator[Line]:
    heads: list[str | Styled] = [Styled(head, is_bold=True) for head in columns]
    table = [heads, *([cell(row) for cell in columns.values()] for row in rows)]
    widths = [max(len(_text(cells[at])) for cells in table) for at in range(len(heads))]
    for cells in table:
        yield tuple(_aligned(part, widths[at], at) for at, part in enumerate(cells))


def _text(part: str | Styled) -> str:
    return part.text if isinstance(part, Styled) else part


def _aligned(part: str | Styled, width: int, at: int) -> str | Styled:
    """Words to the left, numbers to the right."""
    text = _text(part)
    text = f"{text:<{width}} " if at < 2 else f" {text:>{width}}"
    return replace(part, text=text) if isinstance(part, Styled) else text


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _bytes(count: int) -> str:
    return f"{count / (1 << 20):,.1f} MiB" if count else "-"


def _alarming(value: int) -> str | Styled:
    return Styled(f"{value:,}", colour="red") if value else "0"


def _up(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


_LOSSES: Final[Mapping[str, _Cell]] = {
    "WAITING": lambda row: _count(row.waiting_records),
    "BYTES": lambda row: _bytes(row.waiting_bytes),
    "DROPPED": lambda row: _alarming(row.dropped),
    "GAPS": lambda row: _alarming(row.gaps),
    "REFUSED": lambda row: _alarming(row.dead_letters),
    "RESTARTS": lambda row: _alarming(row.restarts),
    "UP": lambda row: _up(row.up_seconds),
}
_RATES: Final[Mapping[str, _Cell]] = {
    "IN/S": lambda row: _count(row.in_rate),
    "OUT/S": lambda row: _count(row.out_rate),
    "LAG": lambda row: _count(row.lag_records),
}
_OF_A_KIND: Final[Mapping[str, _Cell]] = {
    "KIND": lambda row: row.process,
    "PROCESSES": lambda row: str(row.processes) if row.processes else Styled("0", colour="red"),
    **_RATES,
    "LAG S": lambda row: _count(row.lag_seconds),
    **_LOSSES,
}
_OF_ONE: Final[Mapping[str, _Cell]] = {
    "PROCESS": lambda row: row.process,
    "ADDRESS": lambda row: row.address,
    **_RATES,
    **_LOSSES,
}
