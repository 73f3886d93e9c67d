"""`callstream watch`: says which symbols to watch, so that "never executed" can be an answer."""

import json
import re
import sys
import time
from typing import Final

import click

from agents.hot_symbols.watch.watch import MAX_CHARS, Watch
from app.operators.printing import echo
from app.operators.times import time_text
from app.settings import load
from app.stages.hot_symbols.watch_list import WatchList, add_watch, in_canonical_form, read_watch_list, remove_watches
from app.stages.worker import registered_id
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


def _vulnerability(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    return _within("vulnerability", text) if text else None


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


@click.group(name="watch")
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
    "--vulnerability", callback=_vulnerability, metavar="ID", help="Why it is watched, for example a CVE number."
)
@_json_option
def add(symbol: str, module: str | None, build_id: str | None, vulnerability: str | None, *, as_json: bool) -> None:
    """Start watching SYMBOL, a mangled name.

    A symbol that is watched already keeps the time at which its watch began. Without --module and --build-id, the
    watch means the symbol of that name in any file. Then the answer is rarely "never hit", because any code whose
    function is unknown may be the symbol.

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
            vulnerability=vulnerability,
        )
    )
    known = read_watch_list(settings).watches().get(wanted.watch_id)
    if known is None:
        add_watch(settings, registered_id(settings, topics.WATCH), wanted)
    watch = known or wanted
    state = "watched" if known is None else "watched already"
    echo(_document(watch, state) if as_json else f"{watch.watch_id}: {state}, since {time_text(watch.since_ns)}")


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

    \b
    Exit codes:
      0  listed
      1  nothing is watched
      2  wrong options or settings, or Kafka or the registry cannot be used
    Example:
      callstream watch list --json
    """
    found = read_watch_list(load())
    watches = found.watches()
    for line in found.refused.lines():
        echo(f"callstream watch: {line}", err=True)
    for watch in sorted(watches.values(), key=lambda one: (one.since_ns, one.watch_id)):
        why = f"  {watch.vulnerability}" if watch.vulnerability else ""
        echo(_document(watch, "watched") if as_json else f"{time_text(watch.since_ns)}  {watch.watch_id}{why}")
    if not watches:
        echo("callstream watch: nothing is watched", err=True)
        sys.exit(NOT_THERE)


def _document(watch: Watch, state: str) -> str:
    return json.dumps({"watch_id": watch.watch_id, "state": state} | watch.as_record(), ensure_ascii=False)
