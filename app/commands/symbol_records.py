"""`callstream symbols add-kernel`, `map` and `resolve`: what an operator says about nodes, paths and build ids."""

import sys
import time
from io import TextIOWrapper
from pathlib import Path
from typing import Final, NamedTuple

import click

from agents.toml_text import MAX_TOML_BYTES
from app.commands.options import EXISTING_FILE, FOLDER
from app.operators.printing import print_answer
from app.operators.regular_files import open_regular, read_regular_text
from app.settings import load
from app.symbols.adding import AddOptions, NotIndexed, add_files
from app.symbols.kallsyms import NotKallsymsError, kernel_modules
from app.symbols.limited_reader import FileRefusal, LimitedReader
from app.symbols.module_map_file import ModuleMapFileError, parse_module_map
from app.symbols.module_maps import ALWAYS_NS, MappedFile
from app.symbols.name_maps import NODE_SCOPE, node_scope
from app.symbols.snapshot import ObjectKind
from app.symbols.store_writer import StoreWriter

_NOT_DONE: Final = 1

STORE: Final = click.option(
    "--store", "folder", type=FOLDER, help="The store's folder. Default: CALLSTREAM_SYMBOL_STORE_DIR."
)
JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
WAIT: Final = click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="Wait this long while another process writes the store. Default: not at all.",
)


def store_folder(given: Path | None) -> Path:
    """The folder of the option, or of the setting. Raises UsageError without either."""
    folder = given or load().symbol_store_dir
    if folder is None:
        raise click.UsageError("name the store's folder with --store or CALLSTREAM_SYMBOL_STORE_DIR")
    return folder


@click.command(name="add-kernel", short_help="Record a node's kernel symbols")
@click.argument("kallsyms", type=EXISTING_FILE)
@STORE
@click.option(
    "--node",
    metavar="[CLUSTER/]NAME",
    required=True,
    help="The node, with the cluster if its agent names one, or several with * and ?.",
)
@JSON
def add_kernel(kallsyms: Path, folder: Path | None, node: str, as_json: bool) -> None:
    """Record a node's /proc/kallsyms, so that kernel frames name their module.

    Only symbols that occur once are taken, and no addresses. This replaces what was recorded for the node before.

    \b
    Exit codes:
      0  recorded
      2  wrong options or settings, or a file or the store cannot be used
    Example:
      callstream symbols add-kernel --node 'worker-*' kallsyms.txt
    """
    try:
        with TextIOWrapper(open_regular(kallsyms), encoding="utf-8", errors="backslashreplace") as lines:
            modules = kernel_modules(lines)
    except NotKallsymsError as error:
        raise click.UsageError(f"{kallsyms}: {error}") from None
    with StoreWriter(store_folder(folder)) as writer:
        writer.replace_map(ObjectKind.KERNEL, node_scope(node), modules)
        digest = writer.commit()
    counts = {"symbols": len(modules), "modules": len(set(modules.values())), "store_digest": digest}
    print_answer(counts, [f"{counts['symbols']} symbols of {counts['modules']} kernel modules"], as_json=as_json)


@click.command(name="map", short_help="Record which build id a path has")
@click.argument("file", type=EXISTING_FILE)
@STORE
@click.option("--replace", is_flag=True, help="Forget what was recorded for these paths before.")
@JSON
def add_map(*, file: Path, folder: Path | None, replace: bool, as_json: bool) -> None:
    """Record which build id a path has, by image or node, from a TOML file.

    On a node, a second build id of a path holds from now on, or from the time in `since`; earlier events keep the
    first. The files of an image never change, so a path with two build ids is ambiguous there. --replace forgets the
    first.

    \b
    Such a file:
      [node."worker-*"]
      "/usr/bin/containerd" = "58254ca972028402bc40624f81388d85ec95f70d"
      "/usr/bin/runc" = { build_id = "0a1b...", since = 2026-11-30T02:00:00Z }
      [node."east/worker-*"]     # of agents that name their cluster
      "/usr/bin/containerd" = "0a1b..."
    Exit codes:
      0  recorded
      2  wrong options or settings, or a file or the store cannot be used
    Example:
      callstream symbols map build-ids.toml
    """
    try:
        maps = parse_module_map(read_regular_text(file, MAX_TOML_BYTES))
    except (ModuleMapFileError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file}: {error}") from None
    with StoreWriter(store_folder(folder)) as writer:
        for scope, files in maps.items():
            known = {} if replace else writer.module_map(scope)
            is_later = frozenset(known if scope.startswith(NODE_SCOPE) else ())
            added = {module: [_timed(one, is_later=module in is_later)] for module, one in files.items()}
            writer.merge_modules(scope, added, replace=replace)
        digest = writer.commit()
    paths = sum(map(len, maps.values()))
    print_answer({"paths": paths, "store_digest": digest}, [f"{paths} paths"], as_json=as_json)


def _timed(file: MappedFile, *, is_later: bool) -> MappedFile:
    """A file without a time holds from now on, if another one was recorded at its path before."""
    return file._replace(since_ns=time.time_ns()) if is_later and file.since_ns == ALWAYS_NS else file


@click.command(short_help="Say which of several files a build id means")
@click.argument("build_id")
@click.argument("file", type=EXISTING_FILE)
@STORE
@JSON
def resolve(build_id: str, file: Path, folder: Path | None, as_json: bool) -> None:
    """Say that BUILD_ID means the code of FILE, if files with different code have that build id.

    Until then frames in any of them are Ambiguous. From then on they are named from FILE, and no other file with this
    build id changes that. Give the same command another FILE to change your mind.

    \b
    Exit codes:
      0  recorded
      1  FILE was refused, or has another build id
      2  wrong options or settings, or the store cannot be used
    Example:
      callstream symbols resolve 58254ca972028402bc40624f81388d85ec95f70d /usr/lib/x86_64-linux-gnu/libc.so.6
    """
    with LimitedReader() as reader, StoreWriter(store_folder(folder)) as writer:
        code = _code_of(file.resolve(), build_id, reader, writer)
        if code.problem is None:
            writer.choose_code(build_id, code.digest)
            writer.commit()
        store_digest = writer.snapshot.digest
    if code.problem is not None:
        answer = {"build_id": build_id, "outcome": "refused", "reason": code.problem}
        print_answer(answer, [f"refused: {code.problem}"], as_json=as_json)
        sys.exit(_NOT_DONE)
    answer = {"build_id": build_id, "outcome": "chosen", "code_sha256": code.digest, "store_digest": store_digest}
    print_answer(answer, [f"{build_id} means the code of {file}", f"store {store_digest}"], as_json=as_json)


class _Code(NamedTuple):
    """The code of a file whose index was added, or why there is none."""

    digest: str = ""
    problem: str | None = None


def _code_of(path: Path, build_id: str, reader: LimitedReader, writer: StoreWriter) -> _Code:
    probe = reader.probe(path)
    if isinstance(probe, FileRefusal):
        return _Code(problem=probe.reason.value)
    if probe.build_id != build_id:
        return _Code(problem=f"its build id is {probe.build_id}")
    (report,) = add_files([path], AddOptions(replace=True), writer, reader)
    return _Code(problem=report.reason.value) if isinstance(report, NotIndexed) else _Code(probe.code_digest)
