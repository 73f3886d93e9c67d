"""`callstream replay`: recorded events through the stages' own steps again; proof and comparison of such runs."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
from click.core import ParameterSource

from app import settings as settings_module
from app.commands import options
from app.commands.ending import exits_with
from app.evidence import signing
from app.kafka.records import DamagedError
from app.processes.garbage import collect_seldom
from app.progress import Progress
from app.replay import engine, making, proving, run_diff
from app.replay.making import Order, Outcome
from app.replay.manifest import MANIFEST_FILE
from app.replay.run_diff import RunDiff
from app.replay.verdict import Verdict
from app.settings import Settings

_PATH: Final = click.Path(path_type=Path)
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_FOLDER: Final = click.Path(path_type=Path, file_okay=False)

NOT_PROVED: Final = 1
"""Evidence is not what it should be, or two runs differ."""

_VERIFIES: Final = frozenset({"manifest", "archive", "symbols", "public_key_file", "processes", "batch_records"})
_COMPARES: Final = frozenset({"runs", "most"})
_NOT_MAKING: Final = frozenset({"manifest", "runs", "public_key_file", "most"})


@click.command(name="replay", short_help="Replay recorded events, and prove what was published")
@click.option("--out", "out", type=_FOLDER, help="Make a run: a new folder for calls and manifest.")
@click.option("--verify", "manifest", type=_PATH, metavar="MANIFEST", help="Prove a run again, from its manifest.")
@click.option("--diff", "runs", type=_FOLDER, nargs=2, metavar="LEFT RIGHT", help="Compare two runs by event id.")
@click.option("--archive", type=_FOLDER, help="Where the raw events are; tetragon.raw where not given.")
@options.raw_events
@click.option("--policy", type=_FILE, help="Privacy policy; CALLSTREAM_PRIVACY_POLICY_FILE where not given.")
@click.option("--symbols", type=_FOLDER, help="Symbol store; CALLSTREAM_SYMBOL_STORE_DIR where not given.")
@click.option("--snapshot", metavar="DIGEST", help="Snapshot of the symbol store; its current one where not given.")
@click.option("--published", is_flag=True, help="Compare with what the live stages published.")
@click.option("--to-topic", "topic", metavar="TOPIC", help="Write the calls to this topic instead of to files.")
@click.option("--force", is_flag=True, help="Let --to-topic be the live topic.")
@click.option("--sign", "key_file", type=_FILE, help="Ed25519 private key (PEM) to sign the manifest with.")
@click.option("--public-key", "public_key_file", type=_FILE, help="--verify: whose signature the manifest must have.")
@click.option("--max", "most", type=click.IntRange(0), default=10, show_default=True, help="--diff: events to show.")
@click.option("--processes", type=click.IntRange(1, 256), help="How many processes; as many as there are cores.")
@click.option("--batch-records", type=click.IntRange(1), default=engine.BATCH_RECORDS, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(context: click.Context, /, *, as_json: bool, **given: Any) -> None:
    """Run recorded events through the stages' own steps, without Faust and without touching a consumer group.

    --out makes a run: the calls as Avro files, one a partition, and manifest.json, which says by digest what went in,
    what decided, and what came out. --verify makes a run again and compares everything. --diff compares two runs, made
    for example under two policies. POSITIONs are those of `callstream record`.

    The same events under the same configuration give the same bytes, whatever the number of processes or the size of
    batches, from the topic and from an archive.

    \b
    Exit codes: 0 made, proved, or equal; 1 not proved, what was published differs, or the runs differ; 2 wrong options
    or settings, or a server cannot be asked.
    Example:
      callstream replay --archive case-17 --published --out run-17
      callstream replay --verify run-17/manifest.json
      callstream replay --archive case-17 --policy stricter.toml --out what-if
      callstream replay --diff run-17 what-if
    """
    if sum(given[name] is not None for name in ("out", "manifest", "runs")) != 1:
        raise click.UsageError("say one of --out, --verify and --diff")
    settings = settings_module.load(os.environ)
    given["processes"] = given["processes"] or engine.default_processes()
    collect_seldom()
    with exits_with(NOT_PROVED, DamagedError), Progress() as progress:
        if given["runs"] is not None:
            _refuse_others(context, "--diff", lambda name: name in _COMPARES)
            answer = _diff(given, progress)
        elif given["manifest"] is not None:
            _refuse_others(context, "--verify", lambda name: name in _VERIFIES)
            answer = _verify(settings, given, progress)
        else:
            _refuse_others(context, "--out", lambda name: name not in _NOT_MAKING)
            answer = _make(settings, given, progress)
    if as_json:
        click.echo(json.dumps(answer.document))
    else:
        click.echo("\n".join(answer.lines))
    context.exit(0 if answer.right else NOT_PROVED)


class _Answer(NamedTuple):
    """What is printed, for a machine and for a person, and whether all is as it should be."""

    document: dict[str, Any]
    lines: Iterable[str]
    right: bool


def _refuse_others(context: click.Context, mode: str, fits: Callable[[str], bool]) -> None:
    """Refuse options that mean nothing beside `mode`: an option that is ignored in silence misleads."""
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in {"as_json", "out"} and not fits(name):
            raise click.UsageError(f"{parameter.opts[0]} means nothing with {mode}")


def _make(settings: Settings, given: Mapping[str, Any], progress: Progress) -> _Answer:
    if given["force"] and given["topic"] is None:
        raise click.UsageError("--force is for --to-topic")
    order = Order(
        folder=given["out"],
        archive=given["archive"],
        choice=options.raw_choice(
            **{name: given[name] for name in ("start", "end", "partitions", "event_time", "loaders_from")}
        ),
        snapshot=given["snapshot"],
        published=given["published"],
        topic=given["topic"],
        force=given["force"],
        key=None if given["key_file"] is None else signing.load_private_key(given["key_file"]),
        processes=given["processes"],
        batch_records=given["batch_records"],
    )
    chosen = replace(
        settings,
        privacy_policy_file=given["policy"] or settings.privacy_policy_file,
        symbol_store_dir=given["symbols"] or settings.symbol_store_dir,
    )
    outcome = making.make(chosen, order, progress)
    return _Answer(_run_document(order, outcome), _run_lines(order, outcome), outcome.verdict.proved)


def _run_document(order: Order, outcome: Outcome) -> dict[str, Any]:
    manifest = outcome.made.manifest
    return {
        "manifest": str(order.folder / MANIFEST_FILE),
        "digest": outcome.digest,
        "calls": manifest.calls,
        "canonical": manifest.canonical,
        "output_topic": manifest.output_topic,
        "books": dict(manifest.books),
        "published": None if manifest.published is None else dict(manifest.published),
        **outcome.verdict.document(),
    }


def _run_lines(order: Order, outcome: Outcome) -> Iterator[str]:
    manifest, books = outcome.made.manifest, outcome.made.ran.result.books()
    yield (
        f"{books.records:,} raw events: {books.calls:,} calls, {books.not_calls.total():,} not calls, "
        f"{books.dead_letters.total():,} dead letters"
    )
    yield f"calls in {manifest.output_topic or order.folder}, digest {manifest.calls}"
    yield f"manifest {order.folder / MANIFEST_FILE}, digest {outcome.digest}"
    if manifest.published is not None:
        yield from _published_lines(manifest.published)
    yield from outcome.verdict.lines()


def _published_lines(published: Mapping[str, Any]) -> Iterator[str]:
    copies, audit = Counter[str](), Counter[str]()
    for total, rows in ((copies, published["copies"]), (audit, published["audit"])):
        for row in rows:
            total.update({name: count for name, count in row.items() if isinstance(count, int)})
    yield (
        f"published: {copies['copies']:,} copies of {copies['calls']:,} calls, {copies['differing']:,} of them differ, "
        f"{copies['strange']:,} cannot be read; {copies['missing']:,} calls were not published"
    )
    yield (
        f"audit: {audit['proved']:,} of {audit['runs']:,} runs proved, {audit['contradicted']:,} contradicted, "
        f"{audit['at_edges']:,} reach out of the range; {audit['unaudited']:,} records have none"
    )


def _verify(settings: Settings, given: Mapping[str, Any], progress: Progress) -> _Answer:
    verdict = proving.prove(
        replace(settings, symbol_store_dir=given["symbols"] or settings.symbol_store_dir),
        given["manifest"],
        progress,
        archive=given["archive"],
        public_key=None if given["public_key_file"] is None else signing.load_public_key(given["public_key_file"]),
        processes=given["processes"],
        batch_records=given["batch_records"],
    )
    return _Answer(verdict.document(), _verdict_lines(given["manifest"], verdict), verdict.proved)


def _verdict_lines(path: Path, verdict: Verdict) -> Iterator[str]:
    yield from verdict.lines()
    if not verdict.proved:
        yield f"{path}: NOT PROVED"
        return
    signer = verdict.facts.get("signed_by")
    records = verdict.facts["books"]["records"]
    yield f"{path}: proved, {records:,} raw events give the same bytes" + (f", signed by {signer}" if signer else "")


def _diff(given: Mapping[str, Any], progress: Progress) -> _Answer:
    progress.begin("records compared")
    left, right = given["runs"]
    diff = run_diff.compare(left, right, given["most"], progress.add)
    return _Answer(diff.document(), _diff_lines(left, right, diff), diff.equal)


def _diff_lines(left: Path, right: Path, diff: RunDiff) -> Iterator[str]:
    yield f"left {left}, right {right}"
    yield from (f"configuration.{one.path}: left {one.left}, right {one.right}" for one in diff.configuration)
    yield (
        f"{diff.same:,} events are the same, {diff.differing:,} differ, {diff.only_left:,} are only in the left run, "
        f"{diff.only_right:,} only in the right run"
    )
    width = max((len(name) for name in diff.by_field), default=0)
    yield from (f"  {name:<{width}}  {count:,} events" for name, count in diff.by_field.most_common())
    for event in diff.events:
        yield from event.lines()
