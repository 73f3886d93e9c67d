"""`callstream vulnerabilities`: from a vulnerability to what can be said of it here."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Final

import click

from agents.vulnerabilities.verdicts import CannotTell, CodePresent, NoFunctionsNamed, NotAffected
from app.commands.groups import CommandGroup
from app.commands.vulnerability_options import (
    DATABASES,
    JSON,
    chosen_programs,
    database_folder,
    open_store,
    which_findings,
)
from app.commands.vulnerability_policies import policy
from app.commands.vulnerability_watching import status, watch
from app.operators.printing import print_answer
from app.progress import Progress
from app.vulnerabilities.database_folder import DatabaseFolder
from app.vulnerabilities.findings import (
    Finding,
    answer_word,
    chosen,
    databases_of,
    finding_lines,
    finding_row,
    findings,
    table_lines,
)
from app.vulnerabilities.programs import StoredProgram

FOUND: Final = 1
"""Exit code if a document was refused, or a file has the code of a vulnerability or may have it."""

_MAX_NAMED: Final = 10


@click.group(name="vulnerabilities", cls=CommandGroup)
def command() -> None:
    """Say whether the code of a vulnerability is in your files, and whether it ran.

    Nothing is fetched: databases come from files. Files come from the symbol store, with what `symbols add` keeps of
    each: its functions, and what it was built from. `docs/vulnerabilities.md` has the whole way.

    \b
    Exit codes:
      0  done
      1  something was found or refused; the help of each command says what
      2  wrong options or settings, or a database, the store or Kafka cannot be used
    Example:
      callstream vulnerabilities load go-vulndb.zip
      callstream vulnerabilities assess CVE-2022-32149
    """


command.add_command(watch)
command.add_command(status)
command.add_command(policy)


def _day(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a day; write it as 2026-08-21") from None


@command.command(short_help="Take a vulnerability database from a file")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@DATABASES
@click.option(
    "--name", metavar="NAME", help="Name that the database keeps when a newer one comes. Default: of its ids."
)
@click.option("--dated", default="", callback=_day, metavar="DAY", help="Day of its data. Default: of its newest file.")
@click.option("--licence", default="", metavar="TEXT", help="Its licence. Default: what its makers say.")
@JSON
def load(*, path: Path, databases: Path | None, name: str | None, dated: str, licence: str, as_json: bool) -> None:
    """Take a vulnerability database from a file or a folder: OSV as JSON, the zip of Go's database, RustSec.

    It is kept under a digest of its content, with its day and licence, and is in use from then on. The one of the same
    name before it is kept too, so that `status` can say what changed. A document that cannot be used is named and costs
    no other one.

    \b
    Exit codes:
      0  loaded
      1  loaded, but documents were refused
      2  wrong options or settings, or nothing in it can be used
    Example:
      callstream vulnerabilities load vulndb.zip --dated 2026-08-21
    """
    loaded = database_folder(databases).load(path, name, dated, licence)
    refused = [f"refused: {one.name}: {one.reason} {one.where}".rstrip() for one in loaded.refused[:_MAX_NAMED]]
    more = len(loaded.refused) + loaded.refused_more - len(refused)
    lines = [
        *refused,
        *([f"refused: {more:,} more; --json names them"] if more else []),
        f"{loaded.name}: advisories: {loaded.advisories:,}, of which {loaded.with_functions:,} name functions",
        *([f"  {loaded.passed_over:,} more are about other ecosystems"] if loaded.passed_over else []),
        f"  day {loaded.dated or 'not known; say it with --dated'}",
        f"  licence {loaded.licence}",
        f"  digest {loaded.digest}",
    ]
    print_answer(asdict(loaded), lines, as_json=as_json)
    sys.exit(FOUND if loaded.refused else 0)


@command.command(short_help="Say whether the code of vulnerabilities is in files")
@which_findings
@click.option("--all", "show_all", is_flag=True, help="Also those that do not affect a file.")
@JSON
def assess(
    *,
    wanted: tuple[str, ...],
    folder: Path | None,
    databases: Path | None,
    build_ids: tuple[str, ...],
    show_all: bool,
    as_json: bool,
) -> None:
    """Say for each file and advisory whether its code is there. ID is that of an advisory, or an alias (CVE, GHSA).

    \b
    not_affected        the file has another version, no such package, or is of another platform
    code_absent         a complete list of the file's code has none of the functions
    code_present        functions of an affected version are there
    no_functions_named  the version is affected, and the advisory does not say which code
    cannot_tell         why is said

    `code_absent` needs a complete list: Go's functions, inline trees and closures. It is the same for a stripped file.

    \b
    Exit codes:
      0  no file has the code of any of them
      1  a file has it, or may have it
      2  wrong options or settings, or a database or the store cannot be used
    Example:
      callstream vulnerabilities assess GO-2022-1059 --json
    """
    store = open_store(folder)
    known = database_folder(databases)
    advisories = chosen(databases_of(known), wanted)
    shows_all = show_all or bool(wanted)
    rows: list[dict[str, Any]] = []
    lines: list[str] = [*_database_lines(known)]
    is_found = False
    with Progress() as progress:
        programs = chosen_programs(store, build_ids)
        for program in progress.each(iter(programs), "files assessed", len(programs)):
            found = list(findings(program, advisories))
            shown = [one for one in found if shows_all or not isinstance(one.assessment, NotAffected)]
            is_found |= any(isinstance(one.assessment, CodePresent | CannotTell | NoFunctionsNamed) for one in found)
            rows.append(_program_row(program, found, shown))
            lines += _program_lines(program, found, shown, is_named=bool(wanted))
    answer = {
        "store_digest": store.digest,
        "databases": [asdict(one) | {"refused": len(one.refused) + one.refused_more} for one in known.in_use()],
        "files": rows,
    }
    print_answer(answer, lines, as_json=as_json)
    sys.exit(FOUND if is_found else 0)


def _database_lines(known: DatabaseFolder) -> Iterator[str]:
    for one in known.in_use():
        day = one.dated or "an unknown day"
        yield f"{one.name} of {day}: advisories: {one.advisories:,}, digest {one.digest[:12]}; {one.licence}"


def _counts(found: list[Finding]) -> dict[str, int]:
    return dict(sorted(Counter(answer_word(one.assessment) for one in found).items()))


def _program_row(program: StoredProgram, found: list[Finding], shown: list[Finding]) -> dict[str, Any]:
    packages = program.packages
    return {
        "build_id": program.build_id,
        "places": [{"scope": one.scope, "path": one.path} for one in program.places],
        "sha256": [] if packages is None else [one.sha256 for one in packages.contents],
        "packages": [] if packages is None else list(packages.package_urls()),
        "answers": _counts(found),
        "findings": [finding_row(one) for one in shown],
    }


def _program_lines(
    program: StoredProgram, found: list[Finding], shown: list[Finding], *, is_named: bool
) -> Iterator[str]:
    where = ", ".join(f"{one.path} ({one.scope})" for one in program.places) or "at no known path"
    yield ""
    yield f"{program.build_id}  {where}"
    yield from (line for one in shown for line in finding_lines(one)) if is_named else table_lines(shown)
    if not found:
        is_known = program.packages is not None and program.packages.package_urls()
        yield (
            "  none of the databases is about what this file was built from"
            if is_known
            else "  nothing says what this file was built from; a bill of materials may: symbols add --sbom"
        )
        return
    yield "  " + ", ".join(f"{count:,} {word}" for word, count in _counts(found).items())
