"""`callstream watch`: says which symbols to watch, so that "never executed" can be an answer."""

import re
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import click

from agents.hot_symbols.watch.deciding import DecidedAnswer, best_possible
from agents.hot_symbols.watch.watch import MAX_CHARS, MAX_VULNERABILITIES_CHARS, Watch, WatchFault, from_record
from agents.hot_symbols.watch.watch_board import MAX_WATCHES
from agents.hot_symbols.watch.watched_code import watched_codes
from app.commands.groups import CommandGroup
from app.commands.unreadable import say_unreadable
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError
from app.kafka.registry import RegistryError
from app.operators.json_text import json_text
from app.operators.printing import echo
from app.operators.times import time_text
from app.settings import Settings, load
from app.stages.hot_symbols.answer_lines import best_lines
from app.stages.hot_symbols.doubtful_hits import doubtful_hits
from app.stages.hot_symbols.watch_list import WatchList, add_watch, in_canonical_form, read_watch_list, remove_watches
from app.stages.worker import registered_id
from app.symbols.known_files import files_of
from schemas import topics

NOT_THERE: Final = 1


def _within(name: str, text: str) -> str:
    """A text of a watch. Raises BadParameter where it is empty or longer than a watch's may be."""
    if not text or len(text) > MAX_CHARS[name]:
        raise click.BadParameter(f"a {name} has 1 to {MAX_CHARS[name]} characters")
    return text


def _symbol(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    if text is None:
        return None
    _within("symbol", text)
    if "::" in text or any(character.isspace() for character in text):
        raise click.BadParameter(
            f"{text!r} is demangled; a watch needs the name as the file has it, like _ZN3foo3barEv"
        )
    return text


def _module(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    return None if text is None else _within("module", text)


def _vulnerabilities(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    if sum(map(len, texts)) > MAX_VULNERABILITIES_CHARS:
        raise click.BadParameter(f"all together have at most {MAX_VULNERABILITIES_CHARS:,} characters")
    return tuple(_within("vulnerability", text) for text in texts)


def _build_id(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    if text is not None and re.fullmatch(r"(?:[0-9a-fA-F]{2}){4,64}", text) is None:
        raise click.BadParameter(
            f"{text!r} is not a build id: write 8 to 128 hexadecimal digits, as `file` or readelf print it"
        )
    return text


_symbol_argument = click.argument("symbol", callback=_symbol)
_module_option = click.option(
    "--module",
    callback=_module,
    metavar="PATH",
    help="File: a path inside the container, a file name for any folder, or `kernel`. Together with --build-id it says "
    "which files without a known build id may be that file.",
)
_build_id_option = click.option(
    "--build-id", callback=_build_id, metavar="HEX", help="Only the file with this build id."
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")


@click.group(name="watch", cls=CommandGroup)
def command() -> None:
    """Watch functions: learn whether one runs, and above all, that one never runs.

    A watched symbol has a row on runtime.watched from the first moment. The row says how often the symbol was hit, and
    for how long the events of all nodes were complete since the watch began. Other services may write runtime.watch
    themselves; its schema is runtime.watch-value in the registry.

    \b
    Exit codes:
      0  done
      1  the symbol is not watched, or nothing is
      2  wrong options or settings, or Kafka or the registry cannot be used
    Example:
      callstream watch add png_read_chunk --module /usr/lib/libpng16.so.16 --vulnerability CVE-2026-0001
      callstream hot-symbols --watched
    """


@command.command(short_help="Start watching a symbol")
@_symbol_argument
@_module_option
@_build_id_option
@click.option(
    "--vulnerability",
    "vulnerabilities",
    callback=_vulnerabilities,
    multiple=True,
    metavar="ID",
    help="Why it is watched, for example a CVE number; may be given more than once.",
)
@click.option(
    "--every-call-probed",
    is_flag=True,
    help="You know that a probe fires whenever any code of the function is entered, and has done so since the watch "
    "began. Needed for `never hit`. If the probe is newer than the watch, remove the watch and add it again.",
)
@_json_option
def add(
    symbol: str,
    module: str | None,
    build_id: str | None,
    vulnerabilities: tuple[str, ...],
    *,
    every_call_probed: bool,
    as_json: bool,
) -> None:
    """Start watching SYMBOL, a mangled name. Any name of the function will do.

    A symbol that is watched already keeps the time at which its watch began, and what it is watched for. A further
    vulnerability is added to those. Without --module and --build-id, the watch means the symbol of that name in any
    file. Then the answer is never "never hit", because nobody knows all files.

    With a symbol store (CALLSTREAM_SYMBOL_STORE_DIR), the command says at once what can be answered at best, and why.
    It also says how many hits so far may have been of the symbol and may have been of another one. While such hits
    come, the answer is not "never hit".

    \b
    Exit codes:
      0  watched
      2  wrong options or settings, or Kafka or the registry cannot be used
    Example:
      callstream watch add SSL_read --build-id 4f1b29a0c3
    """
    settings = load()
    wanted = in_canonical_form(
        Watch(
            symbol=symbol,
            module=module,
            build_id=build_id,
            since_ns=time.time_ns(),
            vulnerabilities=vulnerabilities,
            every_call_probed=every_call_probed,
        )
    )
    watches = read_watch_list(settings).watches()
    known = watches.get(wanted.watch_id)
    if known is None and len(watches) >= MAX_WATCHES:
        raise click.UsageError(
            f"{len(watches):,} symbols are watched already, and no more than {MAX_WATCHES:,} are answered"
        )
    watch = wanted if known is None else known.joined(wanted)
    if every_call_probed:  # of the whole watch, as the help says
        watch = replace(watch, every_call_probed=True)
    state = "watched" if known is None else "watched already" if watch == known else "changed"
    if from_record(watch.as_record()) is WatchFault.TEXT_TOO_LONG:
        raise click.UsageError(f"{watch.watch_id} would be watched for more than an answer can list; see watch list")
    if watch != known:
        add_watch(settings, registered_id(settings, topics.WATCH), watch)
    best = _best_answers(settings, [watch])[watch.watch_id]
    doubtful = _doubtful_hits(settings, watch)
    if as_json:
        echo(_document(watch, state, best, {"ambiguous_hits": doubtful}))
        return
    echo(f"{watch.watch_id}: {state}, since {time_text(watch.since_ns)}")
    for line in best_lines(best):
        echo(line)
    if doubtful:
        echo(f"{doubtful:,} hits so far may have been of it: while such hits come, it cannot be never hit")


@command.command(short_help="Stop watching a symbol")
@click.argument("symbol", callback=_symbol, required=False)
@_module_option
@_build_id_option
@click.option("--id", "watch_id", metavar="ID", help="The watch as `watch list` shows it, instead of SYMBOL.")
@_json_option
def remove(
    symbol: str | None, module: str | None, build_id: str | None, watch_id: str | None, *, as_json: bool
) -> None:
    """Stop watching SYMBOL. Use the name and the options that you passed to `watch add`. Its counts stay.

    --id removes any watch that `watch list` shows, also one that another service added.

    \b
    Exit codes:
      0  removed
      1  the symbol is not watched
      2  wrong options or settings, or Kafka or the registry cannot be used
    Example:
      callstream watch remove SSL_read --build-id 4f1b29a0c3
      callstream watch remove --id 4f1b29a0c3!SSL_read
    """
    if watch_id is None:
        if symbol is None:
            raise click.UsageError("say which watch: SYMBOL, or --id ID")
        watch_id = in_canonical_form(Watch(symbol=symbol, module=module, build_id=build_id)).watch_id
    elif symbol is not None or module is not None or build_id is not None:
        raise click.UsageError("--id says all: leave SYMBOL, --module and --build-id out")
    settings = load()
    found: WatchList = read_watch_list(settings)
    known = found.watches().get(watch_id)
    if known is None:
        echo(f"callstream watch: {watch_id} is not watched", err=True)
        sys.exit(NOT_THERE)
    remove_watches(settings, found.places_of(watch_id))
    echo(_document(known, "removed") if as_json else f"{known.watch_id}: removed")


@command.command(name="list", short_help="List the watches, the oldest first")
@_json_option
def list_watches(*, as_json: bool) -> None:
    """List the watches, the oldest first. `callstream hot-symbols --watched` has the answers.

    With a symbol store (CALLSTREAM_SYMBOL_STORE_DIR), the list says what can be answered at best, and why. Records
    that are not watches are counted on standard error, with --json as one document.

    \b
    Exit codes:
      0  listed
      1  nothing is watched
      2  wrong options or settings, or Kafka or the registry cannot be used
    Example:
      callstream watch list --json
    """
    settings = load()
    found = read_watch_list(settings)
    watches = found.watches()
    best = _best_answers(settings, watches.values())
    for watch in sorted(watches.values(), key=lambda one: (one.since_ns, one.watch_id)):
        if as_json:
            echo(_document(watch, "watched", best[watch.watch_id]))
            continue
        why = f"  {', '.join(watch.vulnerabilities)}" if watch.vulnerabilities else ""
        echo(f"{time_text(watch.since_ns)}  {watch.watch_id}{why}")
        for line in best_lines(best[watch.watch_id]):
            echo(f"{'':22}{line}")
    say_unreadable("watch", found.refused, as_json=as_json)
    if not watches:
        echo("callstream watch: nothing is watched", err=True)
        sys.exit(NOT_THERE)


def _best_answers(settings: Settings, watches: Iterable[Watch]) -> dict[str, DecidedAnswer | None]:
    """The best that each watch, by id, can be answered without a hit; None without a symbol store.

    Raises SymbolStoreError.
    """
    watches = list(watches)
    files = files_of(settings.symbol_store_dir)
    if files is None:
        return dict.fromkeys(watch.watch_id for watch in watches)
    codes = watched_codes(watches, files, {})
    return {watch.watch_id: best_possible(watch, codes[watch.watch_id]) for watch in watches}


def _doubtful_hits(settings: Settings, watch: Watch) -> int | None:
    """Hits so far that may be of the watched function; None, with a word on standard error, where nobody may look."""
    try:
        return doubtful_hits(settings, watch, registered_id(settings, topics.HOT_SYMBOLS))
    except (KafkaUnreachableError, KafkaUnusableError, RegistryError) as error:
        echo(f"callstream watch: hits so far cannot be read: {error}", err=True)
        return None


def _document(
    watch: Watch, state: str, best: DecidedAnswer | None = None, more: Mapping[str, object] | None = None
) -> str:
    fields = {"watch_id": watch.watch_id, "state": state} | watch.as_record() | dict(more or {})
    if best is not None:
        answer, reasons = best
        fields |= {"best_answer": answer.value, "reasons": [reason.as_record() for reason in reasons]}
    return json_text(fields)
