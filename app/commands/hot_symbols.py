"""`callstream hot-symbols`: the functions that ran, and the answers to the watch list."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import click

from agents.hot_symbols.identity import SymbolIdentity, symbol_id
from agents.hot_symbols.table.query import Query, Row, top
from app.commands.options import TIME, TIME_HELP
from app.commands.unreadable import say_unreadable
from app.kafka.refused import RefusedRecords
from app.operators.json_text import json_text
from app.operators.printing import echo
from app.operators.times import time_text
from app.settings import load
from app.stages.hot_symbols.answer_lines import in_words, watched_table
from app.stages.hot_symbols.answers_reading import watched_answers
from app.stages.hot_symbols.doubled_hits import FIELD, DoubledHits
from app.stages.hot_symbols.table_reading import published_rows
from app.symbols.display import SymbolDisplay
from app.symbols.known_files import files_of

NONE_FOUND: Final = 1

_MAX_NAMED: Final = 5


@click.command(name="hot-symbols", epilog=TIME_HELP)
@click.option("--top", "count", type=click.IntRange(1), default=20, show_default=True, help="Rows to show, by hits.")
@click.option(
    "--symbol", metavar="PATTERN", help="Only this mangled name or symbol id. A name in full finds the function."
)
@click.option("--module", metavar="PATTERN", help="Only this path, file name or build id; `kernel` for the kernel.")
@click.option("--namespace", metavar="PATTERN", help="Only symbols that ran in this namespace lately.")
@click.option("--image", metavar="PATTERN", help="Only symbols that ran in this image lately, by name or id.")
@click.option("--since", "since_ns", metavar="TIME", type=TIME, help="Only symbols that ran at this time or later.")
@click.option(
    "--watched", is_flag=True, help="Show the answers to the watch list: hit, never hit, or not seen and why."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line, with all that a row holds.")
def command(
    *,
    count: int,
    symbol: str | None,
    module: str | None,
    namespace: str | None,
    image: str | None,
    since_ns: int | None,
    watched: bool,
    as_json: bool,
) -> None:
    """Show the functions that ran most, or the ones that you name.

    With --watched, the command shows the answers to the watch list (`callstream watch`) instead: whether each watched
    function ran, and for how long the events of all nodes were complete meanwhile. --symbol, --module and --since
    choose among the watches. If no row matches --symbol, standard error says whether the symbol is watched.

    With a symbol store (CALLSTREAM_SYMBOL_STORE_DIR), a --symbol in full finds the function by any of its names, also
    by one that only an older snapshot gave it.

    A name is sure if our own index, the kernel or a probe confirms it. It is a hint if only the agent gives it. SURE is
    the share of a row's hits whose name is sure. Standard error says if hits may be counted twice, because two ingests
    read one agent; with --json it is the field hits_may_be_doubled of a row. PATTERN may have `*`, `?` and `[...]`.
    Records that are not rows or answers are counted on standard error, with --json as one document.

    \b
    Exit codes:
      0  found
      1  no row matches
      2  wrong options or settings, or Kafka or the registry cannot be used
    Example:
      callstream hot-symbols --top 10
      callstream hot-symbols --symbol 'SSL_*' --image 'shop/*' --since 14d
      callstream hot-symbols --module kernel --json
      callstream hot-symbols --watched
    """
    query = Query(symbol=symbol, module=module, namespace=namespace, image=image, since_ns=since_ns)
    if watched and (namespace is not None or image is not None):
        raise click.UsageError("--namespace and --image mean nothing with --watched: a watch is for all of them")
    settings, refused = load(), RefusedRecords()
    if symbol is not None:
        files = files_of(settings.symbol_store_dir)
        query = query.by_any_name(None) if files is None else query.by_any_name(files.names, files.names_before)
    with SymbolDisplay() as display:
        if watched:
            found: Sequence[Row] = list(filter(query.matches_answer, watched_answers(settings, refused)))[:count]
            lines = watched_table(found)
        else:
            doubled = DoubledHits(settings)
            found = doubled.mark(map(dict, top(filter(query.matches, published_rows(settings, refused)), count)))
            _say_whether_doubled(found, doubled)
            lines = table(found, display.name)
            if not found and symbol is not None:
                _say_whether_watched(query, watched_answers(settings, refused))
        for line in documents(found) if as_json else lines if found else ():
            echo(line)
    if not found:
        echo(
            "callstream hot-symbols: no row matches" if not watched else "callstream hot-symbols: no watch matches",
            err=True,
        )
    say_unreadable("hot-symbols", refused, as_json=as_json)
    sys.exit(0 if found else NONE_FOUND)


def _say_whether_doubled(found: Iterable[Row], doubled: DoubledHits) -> None:
    """Counts that may be too high are said to be so, beside the table."""
    if doubled.trouble is not None:
        echo(f"callstream hot-symbols: whether hits are counted twice cannot be told: {doubled.trouble}", err=True)
    elif any(row[FIELD] for row in found):
        nodes = doubled.nodes()
        named = ", ".join(map(str, nodes[:_MAX_NAMED])) + ("" if len(nodes) <= _MAX_NAMED else ", ...")
        said = f"hits may be counted twice: two ingests vouched at once for {named}; see: callstream doctor coverage"
        echo(f"callstream hot-symbols: {said}", err=True)


def _say_whether_watched(query: Query, answers: Iterable[Mapping[str, Any]]) -> None:
    """Without a row, a symbol may be watched and never hit, or not watched at all."""
    symbol, asked = query.symbol, Query(symbol=query.symbol, any_name=query.any_name)
    said = [in_words(answer) for answer in answers if asked.matches_answer(answer)]
    for line in said or [f"{symbol} is not watched, so a missing row proves nothing; see: callstream watch add --help"]:
        echo(f"callstream hot-symbols: {line}", err=True)


def documents(rows: Iterable[Row]) -> Iterator[str]:
    """The rows as lines of JSON."""
    for row in rows:
        yield json_text(row)


def table(rows: Iterable[Row], demangle: Callable[[str], str]) -> Iterator[str]:
    """The rows as lines for people; `demangle` makes a symbol printable too."""
    yield f"{'HITS':>13}  SURE  {'SPACE':6}  {'LAST SEEN':20}  SYMBOL"
    for row in rows:
        space = "kernel" if row["is_kernel_space"] else "user"
        sure = f"{100 * row['confirmed_hits'] // row['hits']}%" if row["hits"] else "-"
        last_seen = time_text(row["last_seen_ns"]) if row["hits"] else "never"
        yield f"{row['hits']:>13,}  {sure:>4}  {space:6}  {last_seen:20}  {_name(row, demangle)}"


def _name(row: Row, demangle: Callable[[str], str]) -> str:
    """Module and symbol with all characters visible; the path says more to people than a build id."""
    if row["evidence"] == "Binary":
        return f"{row['symbol_id']}  (executed)"
    module = symbol_id(SymbolIdentity(None, row["module"], "", is_kernel_space=row["is_kernel_space"]))
    return module + (demangle(row["symbol"]) if row["symbol"] else "  (function unknown)")
