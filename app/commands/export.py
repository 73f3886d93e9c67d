"""`callstream export`: published calls in the formats that other tools read."""

import re
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from agents.hot_symbols.table.query import Query
from app.commands.options import EXISTING_FILE, FILE, FOLDER, POSITION_HELP, position_option
from app.evidence.keys import load_private_key
from app.export.fact_files import FactFiles
from app.export.run import Export, ExportOutcome, StackFormat
from app.export.runtime_facts import FactOrder
from app.export.symbol_map import read_symbol_map
from app.export.vex_file import read_vex_file
from app.export.window import open_window
from app.kafka.positions import First, Last, Position
from app.operators.errors import OperatorError
from app.operators.printing import echo, print_answer
from app.progress import Progress
from app.settings import Settings, load
from app.symbols.display import SymbolDisplay

NOTHING: Final = 1
INCOMPLETE: Final = 3

FACTS: Final = "runtime-facts"
OPENVEX: Final = "openvex"
FORMATS: Final = (*[form.value for form in StackFormat], FACTS, OPENVEX)


RUNTIMES: Final = ("containerd", "docker", "cri-o", "podman")
"""Container runtimes in the words of the consumer of facts."""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def _digest(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    if text is not None and _DIGEST.fullmatch(text) is None:
        raise click.BadParameter(f"{text!r} is not a digest; write sha256: and 64 hexadecimal digits")
    return text


@dataclass(frozen=True, slots=True)
class _FactsAsked:
    """Options that are of runtime facts."""

    map_path: Path | None
    runtime: str | None
    subject: str | None
    by_image: Path | None

    def check(self, form: str, *, is_window: bool, has_place: bool) -> None:
        """Raises BadParameter for options that do not go together."""
        if (self.map_path is not None or self.runtime is not None) and form != FACTS:
            raise click.BadParameter("--symbol-map and --container-runtime are for --format runtime-facts")
        if (self.subject is not None or self.by_image is not None) and (form != FACTS or not is_window):
            raise click.BadParameter("--subject and --by-image are for runtime-facts with --from or --to")
        if self.by_image is not None:
            if has_place or self.subject is not None:
                raise click.BadParameter("--by-image excludes --image, --subject and --output")
            if self.by_image.exists() and any(self.by_image.iterdir()):
                raise click.BadParameter(f"--by-image: {self.by_image} is not empty; name a new folder")

    def order(self, settings: Settings) -> FactOrder:
        """What is asked. Raises SymbolMapError, SharedBuildIdError, SymbolStoreError."""
        symbols = None if self.map_path is None else read_symbol_map(self.map_path)
        digest = None if self.subject is None else self.subject.removeprefix("sha256:")
        build_id = None if digest is None else FactFiles(settings.symbol_store_dir).build_id_of(digest)
        return FactOrder(symbols, build_id, self.runtime or "")


@click.command(name="export", epilog=POSITION_HELP)
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="What to write.")
@position_option("--from", "start", "Where the window begins. Default: first.")
@position_option("--to", "end", "Where the window ends, not included. Default: last.")
@position_option("--base-from", "base_start", "For html: compare with a window that begins here.")
@position_option("--base-to", "base_end", "Where the window to compare with ends, not included.")
@click.option("--namespace", metavar="PATTERN", help="Only calls of this namespace.")
@click.option("--image", metavar="PATTERN", help="Only calls of this image, by name or id.")
@click.option("--vex", "vex_path", type=FILE, help="For openvex: a TOML file with author, products and actions.")
@click.option("--sign", "key_path", type=EXISTING_FILE, help="For openvex: Ed25519 key that signs it; needs --output.")
@click.option(
    "--subject",
    metavar="sha256:HEX",
    callback=_digest,
    help="For runtime-facts of a window: only this image, or this file of the symbol store.",
)
@click.option("--by-image", "by_image", type=FOLDER, help="For runtime-facts of a window: a file for each image.")
@click.option(
    "--container-runtime", "runtime", type=click.Choice(RUNTIMES), help="For runtime-facts: what stands before ids."
)
@click.option("--symbol-map", "map_path", type=EXISTING_FILE, help="For runtime-facts: JSON with the ids of symbols.")
@click.option("--output", "-o", "to", type=FILE, help="File to write. Default: standard output.")
@click.option("--json", "as_json", is_flag=True, help="Report what was written as one JSON document; needs --output.")
def command(
    *,
    form: str,
    start: Position | None,
    end: Position | None,
    base_start: Position | None,
    base_end: Position | None,
    namespace: str | None,
    image: str | None,
    vex_path: Path | None,
    key_path: Path | None,
    subject: str | None,
    by_image: Path | None,
    runtime: str | None,
    map_path: Path | None,
    to: Path | None,
    as_json: bool,
) -> None:
    """Write published calls in a format that other tools read.

    \b
    Formats:
      html           a flame graph in one file, for a browser without a network
      speedscope, pprof (gzip), folded    call stacks for the tools of that name
      runtime-facts  one line of JSON for each function, with its hits
      openvex        a statement for each vulnerability in the --vex file

    Each event has weight 1. Names are demangled. A name that nothing confirms ends with `?`; a frame without a name is
    a file and an offset.

    runtime-facts come from the whole hot-symbol table, or, with --from or --to, from the calls of a window. With
    --namespace or --image, the table gives the rows that ran there lately, with all of their hits; a window gives the
    hits there.

    A consumer adds hits up, so give it windows that follow each other, and each image or file by itself: --subject, or
    --by-image for all images at once. Calls in no image with a digest are counted, and in none of these files. The call
    that hands a file over is printed. --symbol-map is the consumer's call graph (richgraph-v1), with its ids. Events do
    not say which runtime a container has; --container-runtime is your word for it.

    openvex follows from the answers to the watches of a vulnerability (callstream watch add --vulnerability). The
    statement is `affected` if a watched function ran and the file names an action; for a product that is a container
    image, it must have run in that image. It is `not_affected` if no watched function ran, events were complete for
    min_complete_days, the file states that every call is probed, and the symbol store shows that no copy of the
    functions is in other code. In all other cases it is `under_investigation`, with the reasons. With --sign, a DSSE
    envelope and a query for a time-stamp are written beside it.

    With --base-from and --base-to, the flame graph shows by how much the share of each frame differs from that in the
    base window, as colour, number and table.

    PATTERN may have `*`, `?` and `[...]`. The same window always gives the same bytes.

    \b
    Exit codes:
      0  written
      1  nothing to write
      2  wrong options or settings, or something cannot be read or written
      3  written, but a part of the window is missing or records could not be read; the
         output says which
    Example:
      callstream export --format html --from 1h -o calls.html
      callstream export --format html --from 1h --base-from 2h --base-to 1h -o now.html
      callstream export --format pprof --namespace shop --from 2h --to 1h -o calls.pb.gz
      callstream export --format folded --from 0:1000 --to 0:2000 | flamegraph.pl > calls.svg
      callstream export --format runtime-facts -o facts.ndjson
      callstream export --format runtime-facts --from 2h --to 1h --by-image facts --symbol-map richgraph.json
      callstream export --format openvex --vex shop.toml -o shop.openvex.json
    \b
    shop.toml:
      author = "Shop security <security@shop.example>"
      [[statement]]
      vulnerability = "CVE-2026-0001"
      products = ["pkg:oci/web@sha256:4f1b"]
      every_call_probed = true            # needed; otherwise a function may run unseen
      action = "Update to libpng 1.6.44"  # optional, as are subcomponents, aliases,
                                          # min_complete_days (default 14), and
                                          # accept_unknown_copies (default false)
    """
    if (form == OPENVEX) != (vex_path is not None):
        raise click.BadParameter("--format openvex and --vex need each other")
    if form == OPENVEX and (start, end, namespace, image) != (None,) * 4:
        raise click.BadParameter("openvex is of watches: --from, --to, --namespace and --image mean nothing with it")
    if key_path is not None and (form != OPENVEX or to is None):
        raise click.BadParameter("--sign is for --format openvex with --output")
    facts = _FactsAsked(map_path, runtime, subject, by_image)
    facts.check(form, is_window=start is not None or end is not None, has_place=image is not None or to is not None)
    base = _base(form, base_start, base_end)
    if as_json and to is None and by_image is None:
        raise click.BadParameter("--json needs --output, because standard output holds one kind of data")
    if to is None and form == StackFormat.PPROF and sys.stdout.isatty():
        raise click.BadParameter("pprof is binary; give --output, or redirect standard output")
    settings = load()
    try:
        with SymbolDisplay() as display, Progress() as progress:
            order = facts.order(settings)
            meant = f"*{subject}" if subject is not None and order.build_id is None else image
            place = Query(namespace=namespace, image=meant)
            export = Export(settings=settings, place=place, demangle=display.name, to=to, on_read=progress.add)
            if vex_path is not None:
                outcome = export.openvex(
                    read_vex_file(vex_path), None if key_path is None else load_private_key(key_path)
                )
            elif form == FACTS and start is None and end is None:
                progress.begin("rows written")
                outcome = export.table_facts(order)
            else:
                ranges = (start or First(), end or Last()), base
                outcome = _of_window(export, form, ranges, (facts, order), progress)
    except OSError as error:
        raise OperatorError(f"cannot write {to or by_image or 'standard output'}: {error.strerror}") from None
    print_answer(outcome.document(), outcome.lines(), as_json=as_json, err=to is None and by_image is None)
    if not outcome.written and not as_json:
        echo("nothing to write, so nothing was written", err=True)
    sys.exit(NOTHING if not outcome.written else 0 if outcome.is_complete else INCOMPLETE)


def _base(form: str, start: Position | None, end: Position | None) -> tuple[Position, Position] | None:
    """The window that a flame graph is compared with."""
    if start is None and end is None:
        return None
    if start is None or end is None or form != StackFormat.HTML:
        raise click.BadParameter("--base-from and --base-to need each other and --format html")
    return start, end


def _of_window(
    export: Export,
    form: str,
    ranges: tuple[tuple[Position, Position], tuple[Position, Position] | None],
    asked: tuple[_FactsAsked, FactOrder],
    progress: Progress,
) -> ExportOutcome:
    """Export a window of calls, perhaps compared with another one."""
    facts, order = asked
    with ExitStack() as opened:
        windows = [opened.enter_context(open_window(export.settings, *one)) for one in ranges if one is not None]
        progress.begin("records read", sum(window.offsets for window in windows))
        if facts.by_image is not None:
            return export.image_facts(windows[0], facts.by_image, order)
        if form == FACTS:
            return export.window_facts(windows[0], order, facts.subject)
        return export.stacks(windows[0], StackFormat(form), windows[1] if len(windows) > 1 else None)
