"""What the demonstration shows at its end, as a value and as text.

Every number is read from a process's own metrics or from Kafka; none is assumed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.demo.leaks import Searched
from app.telemetry import metrics
from app.telemetry.metric import Metric
from app.telemetry.metric_pages import Page
from schemas import topics
from schemas.topics import Stage


@dataclass(frozen=True, slots=True)
class DemoBooks:
    """Counts of events by place. `balanced` says that every event is accounted for, in every process and in Kafka."""

    sent: int
    received: int
    written: int
    dropped: int
    gaps: int
    calls: int
    not_calls: int
    dead_letters: int
    hot_symbols_published: int
    balanced: bool
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DemoReplay:
    """A replay of all recorded raw events, compared with the published copies, byte for byte.

    `audited` counts the stages' audit runs that are proved; `trouble` is empty if all agree.
    """

    copies: int
    calls: int
    audited: int
    digest: str
    trouble: str


@dataclass(frozen=True, slots=True)
class DemoReport:
    """The demonstration's result.

    It succeeded if the books balance, no secret left its topics, and a replay gives what was published.
    """

    books: DemoBooks
    frames: Mapping[str, int]
    redactions: Mapping[str, int]
    searched: Searched
    replayed: DemoReplay
    calls: Sequence[str]
    top_symbols: str
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether everything holds that the demonstration claims."""
        private = not self.searched.found and self.searched.proof > 0
        return self.books.balanced and private and not self.replayed.trouble

    def document(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**asdict(self), "succeeded": self.succeeded}


def books_of(pages: Mapping[str, Page], sent: int, findings: Sequence[str]) -> DemoBooks:
    """Books from the processes' pages; `findings` are those of `callstream books`."""
    ingest, canonicalize = pages["ingest"], pages[Stage.CANONICALIZE.value]
    privacy, hot_symbols = pages[Stage.PRIVACY.value], pages[Stage.HOT_SYMBOLS.value]
    received, written = ingest.total(metrics.RECEIVED), ingest.value(metrics.WRITTEN, topics.RAW)
    dropped, calls = ingest.total(metrics.DROPPED), privacy.value(metrics.WRITTEN, topics.CALLS)
    not_calls = canonicalize.total(metrics.NOT_CALLS)
    dead_letters = canonicalize.total(metrics.DEAD_LETTERS) + privacy.total(metrics.DEAD_LETTERS)
    return DemoBooks(
        sent=sent,
        received=received,
        written=written,
        dropped=dropped,
        gaps=ingest.total(metrics.GAPS),
        calls=calls,
        not_calls=not_calls,
        dead_letters=dead_letters,
        hot_symbols_published=hot_symbols.total(metrics.HOT_PUBLISHED),
        balanced=not findings and sent == received == written + dropped and written == calls + not_calls + dead_letters,
        findings=tuple(findings),
    )


def shares_of(page: Page, metric: Metric) -> dict[str, int]:
    """Counts of a metric with one label, most first."""
    counts = {labels[0]: int(value) for labels, value in page.samples.get(metric.name, {}).items() if value}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def text_of(report: DemoReport) -> str:
    """What a person reads."""
    books, searched = report.books, report.searched
    lines = ["", "Some of the published calls:", "", *report.calls, ""]
    lines += ["Symbols that were executed most:", "", report.top_symbols.rstrip(), ""]
    lines += ["How frames were resolved:", "", *_shares(report.frames), ""]
    lines += ["What was redacted, by rule:", "", *_shares(report.redactions), ""]
    lines += [
        "The books:",
        "",
        f"  {books.sent:>9,} sent",
        f"  {books.received:>9,} received = {books.written:,} written + {books.dropped:,} dropped",
        (
            f"  {books.written:>9,} written = {books.calls:,} calls + {books.not_calls:,} not calls"
            f" + {books.dead_letters:,} dead letters"
        ),
        f"  {books.gaps:>9,} coverage gaps published; {books.hot_symbols_published:,} hot-symbol rows published",
        "  balanced: nothing is unaccounted for" if books.balanced else "  NOT BALANCED:",
        *[f"    {finding}" for finding in books.findings],
        "",
        "Planted secrets:",
        "",
        f"  {searched.proof} kinds found where they belong, at the beginning of the restricted topics",
        (
            f"  searched {searched.records:,} records of all other topics, {searched.files} files (state, logs,"
            f" exports), {searched.rows:,} rows of tables and {searched.pages} web pages"
        ),
        "  none has left" if not searched.found else f"  {len(searched.found)} LEAKS:",
        *[f"    {place}" for place in searched.found[:20]],
        "",
        "Made again from the recorded raw events:",
        "",
        *_replay_lines(report.replayed),
        "",
        f"{'All of it holds' if report.succeeded else 'It does NOT hold'}; {report.seconds:.0f} s.",
    ]
    return "\n".join(lines)


def _replay_lines(replayed: DemoReplay) -> list[str]:
    if replayed.trouble:
        return [f"  NOT THE SAME: {replayed.trouble}"]
    return [
        f"  {replayed.copies:>9,} published copies of {replayed.calls:,} calls are the same, byte for byte",
        f"  {replayed.audited:>9,} statements of the stages on what they published are true",
        f"  digest {replayed.digest}",
    ]


def _shares(counts: Mapping[str, int]) -> list[str]:
    total = sum(counts.values()) or 1
    return [f"  {count:>9,}  {count / total:6.1%}  {name}" for name, count in counts.items()]
