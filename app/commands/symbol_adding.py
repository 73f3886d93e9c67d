"""`callstream symbols add`: indexes files, and keeps beside each index what the file was built from."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace as changed
from pathlib import Path
from typing import Any, Final

import click

from app.commands.options import EXISTING_FILE, FOLDER, TIME
from app.commands.symbol_records import JSON, STORE, WAIT, store_folder
from app.operators.printing import print_answer
from app.progress import Progress
from app.symbols.adding import AddOptions, FileReport, NotIndexed, add_files, elf_files
from app.symbols.debuginfod import Debuginfod
from app.symbols.file_owners import Bill, BillRefusedError, read_bills
from app.symbols.limited_reader import DEFAULT_SECONDS, LimitedReader
from app.symbols.name_maps import image_scope, node_scope
from app.symbols.rows import cell, report_row
from app.symbols.store import SymbolStore
from app.symbols.store_writer import Kept, StoreWriter

_NOT_ALL: Final = 1
IMAGE = click.option("--image", metavar="ID", help="Image id as Tetragon sends it, or its sha256: digest.")
NODE = click.option(
    "--node", metavar="[CLUSTER/]NAME", help="A node, with the cluster if its agent names one; may hold * and ?."
)


@click.command(short_help="Index programs, libraries and debug files")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@STORE
@IMAGE
@NODE
@click.option(
    "--root", type=FOLDER, help="Folder that the processes see as /. Default: PATH with --image, otherwise /."
)
@click.option(
    "--lines",
    "with_lines",
    is_flag=True,
    help="Read source lines too, from DWARF, and give inlined functions frames of their own. Slow and large.",
)
@click.option(
    "--debug-dir", "debug_folders", multiple=True, type=FOLDER, help="Folder of debug files, laid out as for gdb."
)
@click.option(
    "--debuginfod",
    "debuginfod_url",
    metavar="URL",
    help="Get debug files from this server, which then sees the build ids.",
)
@click.option(
    "--sbom",
    "bills",
    multiple=True,
    type=EXISTING_FILE,
    help="Bill of materials of these files, CycloneDX or SPDX as JSON. Its packages are kept beside the files that it "
    "has by digest or path.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="Take the new index even if the one in the store is better or conflicts, and forget other files of the paths.",
)
@click.option(
    "--since",
    "since_ns",
    metavar="TIME",
    type=TIME,
    help="With --node: from when on the files lie there. Default: when each was put there.",
)
@click.option(
    "--seconds", default=DEFAULT_SECONDS, show_default=True, type=click.FloatRange(1), help="Time limit for each file."
)
@WAIT
@JSON
def add(
    *,
    paths: tuple[Path, ...],
    folder: Path | None,
    image: str | None,
    node: str | None,
    root: Path | None,
    with_lines: bool,
    debug_folders: tuple[Path, ...],
    debuginfod_url: str | None,
    bills: tuple[Path, ...],
    replace: bool,
    since_ns: int | None,
    seconds: float,
    wait_seconds: float,
    as_json: bool,
) -> None:
    """Index programs, libraries and debug files: single files, folders, or the root of a container.

    With --image or --node the paths are recorded too, so that frames of those containers or nodes find their index
    without loader events. Those of nodes count for processes whose events say that they see the host's files: run
    Tetragon with --enable-process-ns. A better index of the same code replaces one in the store; any other index stays
    out. Files are read in a process with limits on time and memory. Links in folders are not followed.

    Beside each index the store keeps what the file was built from: Go modules, crates of cargo-auditable, the packages
    that own it by the databases of dpkg, apk or rpm in the root, and what --sbom has for it. `symbols show` prints it.

    \b
    Exit codes:
      0  every file was indexed, or is in the store already
      1  a file was refused, or there were no ELF files
      2  wrong options or settings, or the store cannot be used
    Example:
      callstream symbols add --image nginx@sha256:0f3c... /mnt/nginx-root
    """
    if root is None:
        root = paths[0] if image is not None and len(paths) == 1 and paths[0].is_dir() else Path("/")
    notes: list[str] = []
    options = AddOptions(
        root=root,
        scope=_scope(image, node),
        since_ns=since_ns,
        with_lines=with_lines,
        replace=replace,
        debug_folders=debug_folders,
        debuginfod=None if debuginfod_url is None else Debuginfod(debuginfod_url),
        note=notes.append,
    )
    files = list(elf_files(paths))
    with (
        StoreWriter(store_folder(folder), wait_seconds) as writer,
        LimitedReader(seconds) as reader,
        Progress() as progress,
    ):
        bill = _bill(bills, writer.scratch)
        options = changed(options, bill=bill)
        progress.begin("files read", len(files))
        reports = list(add_files(files, options, writer, reader, lambda _: progress.add(1)))
        digest = writer.commit()
    rows = [report_row(report) for report in reports]
    store = SymbolStore.open(writer.folder)
    ambiguous = [] if options.scope is None else store.ambiguous_in(options.scope)
    lines = [
        *_report_lines(reports, rows, digest),
        *(f"ambiguous: {path} is one of several files there; --replace forgets the others" for path in ambiguous),
        *(f"packages: {words}" for words in notes),
    ]
    answer: dict[str, Any] = {"store_digest": digest, "files": rows, "ambiguous": ambiguous, "packages_unread": notes}
    if bill is not None:
        joined = {"by_digest": bill.by_digest, "by_path": bill.by_path, "of_no_file": len(bill.of_no_file())}
        answer["sbom"] = joined
        lines.append(
            f"sbom: {bill.by_digest:,} files by digest, {bill.by_path:,} by path; "
            f"{joined['of_no_file']:,} packages are of no file here, so they speak of the image only"
        )
    print_answer(answer, lines, as_json=as_json)
    sys.exit(_NOT_ALL if any(isinstance(report, NotIndexed) for report in reports) or not reports else 0)


def _bill(paths: tuple[Path, ...], scratch: Path) -> Bill | None:
    try:
        return read_bills(paths, scratch) if paths else None
    except BillRefusedError as error:
        raise click.UsageError(f"--sbom {error}") from None


def _scope(image: str | None, node: str | None) -> str | None:
    if image is not None and node is not None:
        raise click.UsageError("--image and --node exclude each other")
    if image is not None:
        return image_scope(image)
    return None if node is None else node_scope(node)


def _report_lines(reports: list[FileReport], rows: list[dict[str, Any]], digest: str) -> Iterator[str]:
    """What was refused and what is to be noted, the first of what was added, and how many there were of each."""
    shown = left_out = 0
    for report, row in zip(reports, rows, strict=True):
        if isinstance(report, NotIndexed):
            yield "  ".join(cell(value) for value in row.values() if value)
            continue
        if report.kept is Kept.UNCHANGED:
            continue
        if shown >= _MAX_ADDED_LINES and not report.notes:
            left_out += 1
            continue
        shown += 1
        counts = f"{report.functions:,} functions  {report.lines:,} lines  {cell(row['origins'])}"
        yield "  ".join([row["path"], row["outcome"], report.build_id, counts, *report.notes])
    if left_out:
        yield f"... and {left_out:,} more; --json has all"
    outcomes = Counter(row["outcome"] for row in rows)
    yield ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())) or "no ELF files"
    yield f"store {digest}"


_MAX_ADDED_LINES: Final = 20
"""A folder of an image has a thousand files, and each is as it should be."""
