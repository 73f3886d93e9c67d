"""`callstream books`: checks that the books of every process and of the pipeline balance."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import click

from app.books.balance import Equation, Imbalance, StageSource, equation_of, findings, pipeline_books, summed, unsettled
from app.books.group_positions import committed_by, ends_of, stage_sources
from app.dead_letters.inventory import Inventory
from app.dead_letters.settling import read_letters
from app.operators.printing import echo, print_answer
from app.progress import Progress
from app.settings import Settings, load
from app.telemetry.metric_pages import Page, UnreadPage, read_processes
from app.telemetry.process_addresses import addresses_in
from app.topology import PIPELINE
from schemas import topics

UNBALANCED = 1
NOT_ALL_READ = 2


@click.command(name="books")
@click.option(
    "--metrics",
    "addresses",
    multiple=True,
    metavar="ADDRESS",
    help="Where a process serves /metrics, as host:port or URL; may be repeated. Default: "
    "CALLSTREAM_PROCESS_ADDRESSES, or the `callstream worker` of this host, if CALLSTREAM_HTTP_PORT is set.",
)
@click.option("--settled", is_flag=True, help="Fail also if any record waits: the pipeline must be at rest.")
@click.option(
    "--dead-letters",
    "with_letters",
    is_flag=True,
    help="Say also what has become of refused events; reads runtime.calls from the oldest one on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(addresses: tuple[str, ...], settled: bool, with_letters: bool, as_json: bool) -> None:
    """Check that nothing is lost between any two places.

    For each process, its metrics must say that what came in also went out. For each stage, Kafka must say that every
    committed offset is accounted for, since the stage's group began and across all restarts. And no topic may have
    fewer records than were written to it. Lag is not an error: it is listed as waiting. With --dead-letters, no event
    may have a call and have been sent again, too. A process that does not answer is named, and the books of all others
    are made up.

    \b
    Exit codes:
      0  the books balance
      1  they do not balance; standard error names the stage
      2  wrong options or settings, a server does not answer, or a process does not
         and the books of all others balance
    Example:
      callstream books --metrics 127.0.0.1:9464 --metrics 127.0.0.1:9465
    """
    settings = load()
    processes = read_processes(addresses or addresses_in(settings))
    pages = [one for one in processes if isinstance(one, Page)]
    unread = [one for one in processes if isinstance(one, UnreadPage)]
    committed = committed_by(settings)
    ends = ends_of(settings, _topics())
    equations = [equation_of(page) for page in pages]
    sources = stage_sources(committed, ends)
    found = findings(equations, sources, pages, ends)
    if settled:
        found += unsettled(sources, equations)
    letters = _letters(settings) if with_letters else None
    if letters is not None and (twice := letters.counted_twice()):
        found.append(
            Imbalance(topics.DEAD_LETTERS, f"{twice} events have a call and were sent again: they count twice")
        )
    counts = None if letters is None else _letter_counts(letters)
    document = _document(equations, sources, found, unread) | {"dead_letters": counts}
    lines = [*_lines(equations, sources), *([] if counts is None else [_LETTERS_LINE.format_map(counts)])]
    print_answer(document, lines, as_json=as_json)
    for finding in found:
        echo(f"callstream books: {finding}", err=True)
    for one in unread:
        echo(f"callstream books: {one}", err=True)
    sys.exit(UNBALANCED if found else NOT_ALL_READ if unread else 0)


_LETTERS_LINE: Final = (
    "dead letters: refused {refused} = open {open} + waiting {waiting} + published since {published} + "
    "sent again {sent_again}"
)


def _letters(settings: Settings) -> Inventory:
    with Progress() as progress:
        return read_letters(settings, progress, patience_seconds=0.0, whole=True)


def _letter_counts(letters: Inventory) -> dict[str, int]:
    """Refused events, and how many of them are in each state."""
    states = {state.value.replace(" ", "_"): count for state, count in letters.states().items()}
    return {"refused": len(letters.by_event), **states}


def _topics() -> list[str]:
    """Every topic of the pipeline but the tables' changelogs."""
    names = [name for shape in PIPELINE for name in (*shape.sources, *shape.outputs)]
    return list(dict.fromkeys([*names, topics.COVERAGE]))


def _lines(equations: Sequence[Equation], sources: Sequence[StageSource]) -> Iterator[str]:
    for one in equations:
        yield f"{one.process} at {one.address}: {summed(one.came)} = {summed(one.went)}"
    if not equations:
        yield "no process was read: give --metrics, or set CALLSTREAM_PROCESS_ADDRESSES"
    for source in sources:
        yield (
            f"{source.stage.value} since its group began: of {source.topic}, outputs {source.total('outputs')} + "
            f"not calls {source.total('not_calls')} + dead letters {source.total('dead_letters')}, "
            f"waiting {source.waiting}"
        )
    if (pipeline := pipeline_books(sources)) is not None:
        yield (
            f"pipeline: raw {pipeline.raw} = calls {pipeline.calls} + not calls {pipeline.not_calls} + "
            f"dead letters {pipeline.dead_letters} + lost {pipeline.lost} + waiting {pipeline.waiting} - "
            f"counted twice {pipeline.counted_twice}"
        )
        if pipeline.counted_twice:
            yield (
                "counted twice: records that went on while the places were read one after the other, or that a stage "
                "wrote again after a crash. At rest only the latter are left; consumers know them by their raw position"
            )


def _document(
    equations: Sequence[Equation],
    sources: Sequence[StageSource],
    found: Sequence[Imbalance],
    unread: Sequence[UnreadPage],
) -> dict[str, Any]:
    """`balanced` is null where nothing is wrong in what was read, and not all could be read."""
    pipeline = pipeline_books(sources)
    return {
        "balanced": None if unread and not found else not found,
        "unread": [asdict(one) for one in unread],
        "findings": [asdict(finding) for finding in found],
        "pipeline": None if pipeline is None else asdict(pipeline) | {"counted_twice": pipeline.counted_twice},
        "processes": [asdict(one) | {"difference": one.difference} for one in equations],
        "stages": [
            {
                "stage": source.stage.value,
                "source": source.topic,
                "outputs": source.total("outputs"),
                "not_calls": source.total("not_calls"),
                "dead_letters": source.total("dead_letters"),
                "waiting": source.waiting,
            }
            for source in sources
        ],
    }
