"""`callstream symbols`: builds the symbol store ahead of time, looks into it, and checks that it is intact."""

import re
import sys
import time
from pathlib import Path
from typing import Final

import click

from agents.canonicalize.frame_text import FrameText, FrameTextError, format_frame_text, parse_frame_text
from agents.symbols.index import SymbolIndex
from agents.symbols.lookup import Resolved, RootOwner, Scope, Unresolved
from agents.symbols.module_paths import normalize_module
from app.commands.groups import CommandGroup
from app.commands.symbol_adding import IMAGE, NODE, add
from app.commands.symbol_containers import add_containers, init
from app.commands.symbol_records import JSON, STORE, add_kernel, add_map, resolve, store_folder
from app.operators.json_text import json_text
from app.operators.printing import echo, print_answer
from app.progress import Progress
from app.symbols.checking import check_objects
from app.symbols.display import SymbolDisplay
from app.symbols.limited_reader import FileRefusal, LimitedReader
from app.symbols.rows import cell, index_row, packages_row, resolved_row
from app.symbols.snapshot import ObjectKind
from app.symbols.store import SymbolStore
from schemas.node import node_of_text

NOT_ALL: Final = 1
"""Exit code if a file was refused, an object is damaged, or nothing was found."""


_BUILD_ID: Final = re.compile(r"[0-9a-f]{16,256}")


@click.group(name="symbols", cls=CommandGroup)
def command() -> None:
    """Build and query the symbol store: which function lies at which offset of which file.

    Stages open the store read-only, and use the snapshot that is current when they start.

    \b
    Exit codes:
      0  done
      1  a file was refused, or something was not found or is damaged
      2  wrong options or settings, or the store cannot be used
    Example:
      callstream symbols add --node "$(hostname)" /usr/lib /usr/bin
    """


command.add_command(add)
command.add_command(add_containers)
command.add_command(add_kernel)
command.add_command(add_map)
command.add_command(init)
command.add_command(resolve)


@command.command(name="list", short_help="List every index and map of the store")
@STORE
@JSON
def list_indexes(folder: Path | None, as_json: bool) -> None:
    """List every index and map of the store, and the digest that replays and manifests name.

    \b
    Exit codes:
      0  listed
      2  wrong options or settings, or the store cannot be used
    Example:
      callstream symbols list --json
    """
    store = _open(folder)
    rows = [index_row(_index(store, build_id)) for build_id in store.snapshot.of_kind(ObjectKind.INDEX)]
    maps = [
        {"kind": kind.value, "scope": scope}
        for kind in (ObjectKind.MODULES, ObjectKind.KERNEL)
        for scope in store.snapshot.of_kind(kind)
    ]
    paths = [{"scope": scope, "module": module} for scope, module in store.ambiguous_modules()]
    lines = [
        f"{row['build_id']}  {row['functions']:>7} functions  {row['lines']:>8} lines  {cell(row['origins'])}"
        + "  ambiguous: files with different code have it" * (row["build_id"] in store.ambiguous)
        for row in rows
    ]
    lines += [f"{one['kind']:<8} {one['scope']}" for one in maps]
    lines += [f"ambiguous: {one['module']} of {one['scope']} is one of several files" for one in paths]
    lines.append(f"store {store.digest}")
    ambiguous = {"build_ids": sorted(store.ambiguous), "modules": paths}
    answer = {"store_digest": store.digest, "indexes": rows, "maps": maps, "ambiguous": ambiguous}
    print_answer(answer, lines, as_json=as_json)


@command.command(short_help="Show the index of one build id")
@click.argument("build_id")
@STORE
@click.option("--functions", is_flag=True, help="Print every function too.")
@JSON
def show(build_id: str, folder: Path | None, functions: bool, as_json: bool) -> None:
    """Show the index of one build id.

    \b
    Exit codes:
      0  shown
      1  the store has no such index
      2  wrong options or settings, or the store cannot be used
    Example:
      callstream symbols show 58254ca972028402bc40624f81388d85ec95f70d
    """
    store = _open(folder)
    index = _index(store, build_id)
    row = index_row(index) | {
        "segments": [{"file_offset": s.file_offset, "size": s.size, "address": s.address} for s in index.segments],
        "code_sha256": index.code_digest.hex(),
        **packages_row(store.packages(build_id)),
    }
    if as_json:
        listed = [one._asdict() for one in index.ranges()] if functions else None
        echo(json_text(row if listed is None else row | {"spans": listed}))
        return
    for name, value in row.items():
        echo(f"{name:<12} {cell(value)}")
    if functions:
        with SymbolDisplay() as display:
            for one in index.ranges():
                echo(f"{one.start:#014x} {one.length:>8}  {display.name(one.name)}")


@command.command(short_help="Name the function at a file offset")
@click.argument("where", metavar="MODULE+0xOFFSET")
@STORE
@IMAGE
@NODE
@click.option(
    "--return-address",
    is_flag=True,
    help="The offset is where a call returns: look just before it, as for outer frames.",
)
@JSON
def lookup(
    *, where: str, folder: Path | None, image: str | None, node: str | None, return_address: bool, as_json: bool
) -> None:
    """Name the function at a file offset.

    MODULE is a build id, a path of --image or --node, or a file on this machine.

    \b
    Exit codes:
      0  found
      1  no function is known there; the output says why
      2  wrong options or settings, or the store cannot be used
    Example:
      callstream symbols lookup /usr/lib/x86_64-linux-gnu/libc.so.6+0x12752b
    """
    try:
        asked = parse_frame_text(where)
    except FrameTextError as error:
        raise click.UsageError(f"{where}: {error}") from None
    if asked.offset is None or asked.symbol:
        raise click.UsageError(f"{where}: write MODULE+0xOFFSET")
    store = _open(folder)
    build_id = _build_id(store, asked.module, image, node)
    found = store.lookup(build_id, asked.offset, innermost=not return_address)
    if not isinstance(found, Resolved):
        answer = {"build_id": build_id, "resolution": found.name, "reason": found.value}
        echo(json_text(answer) if as_json else f"callstream symbols: {found.value}", err=not as_json)
        sys.exit(NOT_ALL)
    text = format_frame_text(FrameText(normalize_module(asked.module).path, found.symbol, found.offset))
    if as_json:
        echo(json_text({"build_id": build_id, "text": text, **resolved_row(found)}))
        return
    with SymbolDisplay() as display:
        for call in found.inlined:
            place = f" at {call.source_file}:{call.line_number}" if call.source_file is not None else ""
            echo(f"{display.name(call.symbol)}{place}, inlined into")
        shown = display.name(found.symbol)
    echo(text)
    if shown != found.symbol:
        echo(f"  {shown}")
    if found.source_file is not None:
        echo(f"  {found.source_file}:{found.line_number}")


@command.command(short_help="Check every object of the store")
@STORE
@JSON
def verify(folder: Path | None, as_json: bool) -> None:
    """Check every object of the store against its digest.

    \b
    Exit codes:
      0  every object is intact
      1  an object is damaged
      2  wrong options or settings, or the store cannot be used
    Example:
      callstream symbols verify
    """
    store = _open(folder)
    with Progress() as progress:
        objects = progress.each(check_objects(store), "objects checked", len(store.snapshot.entries))
        faults = [
            {"kind": checked.entry.kind, "key": checked.entry.key, "fault": checked.fault}
            for checked in objects
            if checked.fault is not None
        ]
    summary = {"store_digest": store.digest, "objects": len(store.snapshot.entries), "faults": faults}
    lines = [f"{fault['kind']} {fault['key']}: {fault['fault']}" for fault in faults]
    lines.append(f"{summary['objects']} objects, {len(faults)} damaged; store {store.digest}")
    print_answer(summary, lines, as_json=as_json)
    sys.exit(NOT_ALL if faults else 0)


def _open(given: Path | None) -> SymbolStore:
    return SymbolStore.open(store_folder(given))


def _build_id(store: SymbolStore, module: str, image: str | None, node: str | None) -> str:
    if _BUILD_ID.fullmatch(module):
        return module
    if image is not None or node is not None:
        root = RootOwner.HOST if image is None else RootOwner.CONTAINER
        maps = store.maps(Scope(image or "", root, node_of_text(node or ""))).at(time.time_ns())
        mapped = maps.build_id(normalize_module(module).path)
        if mapped is None:
            raise click.UsageError(f"{module} is in no map of that image or node")
        if isinstance(mapped, Unresolved):
            raise click.UsageError(f"{module} is one of several files there; name one by its build id")
        return mapped
    with LimitedReader() as reader:
        probe = reader.probe(Path(module).resolve())
    if isinstance(probe, FileRefusal):
        raise click.UsageError(f"{module}: {probe.reason.value}")
    return probe.build_id


def _index(store: SymbolStore, build_id: str) -> SymbolIndex:
    index = store.index(build_id)
    if index is None:
        echo(f"callstream symbols: no index of {build_id}", err=True)
        sys.exit(NOT_ALL)
    return index
