"""`callstream replay`: runs recorded events through the stages' own steps, and proves or compares such runs."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
from click.core import ParameterSource

from app.commands.ending import exits_with
from app.commands.options import FILE, FOLDER, POSITION_HELP, raw_choice, raw_events
from app.evidence import keys, time_stamps
from app.evidence.signed_documents import TrustedSigner
from app.kafka.records import DamagedError
from app.operators.printing import print_answer
from app.processes.garbage import collect_seldom
from app.progress import Progress
from app.replay import diff, engine
from app.replay.diff import RunDiff
from app.replay.make import MadeRun, RunOutput, make
from app.replay.manifest import MANIFEST_FILE
from app.replay.one_event import show_event
from app.replay.request import BATCH_RECORDS, ReplayRequest
from app.replay.verdict import RunVerdict
from app.replay.verify import verify
from app.settings import load

NOT_PROVED: Final = 1
"""Evidence is not what it should be, or two runs differ."""

_PATH: Final = click.Path(path_type=Path)

_VERIFIES: Final = frozenset(
    {
        "manifest",
        "archive",
        "symbols",
        "public_key_file",
        "time_stamp_ca_file",
        "processes",
        "batch_records",
        "event_id",
    }
)
_COMPARES: Final = frozenset({"runs", "most"})
_NOT_MAKING: Final = frozenset({"manifest", "runs", "public_key_file", "time_stamp_ca_file", "most", "event_id"})


@click.command(name="replay", epilog=POSITION_HELP)
@click.option("--out", "out", type=FOLDER, help="Make a run: a new folder for calls and manifest.")
@click.option("--verify", "manifest", type=_PATH, metavar="MANIFEST", help="Prove a run, from its manifest.")
@click.option("--event", "event_id", metavar="ID", help="--verify: show and prove this event instead of the whole run.")
@click.option("--diff", "runs", type=FOLDER, nargs=2, metavar="LEFT RIGHT", help="Compare two runs by event id.")
@click.option("--archive", type=FOLDER, help="Archive that holds the raw events. Default: the topic tetragon.raw.")
@raw_events
@click.option("--policy", type=FILE, help="Privacy policy. Default: CALLSTREAM_PRIVACY_POLICY_FILE.")
@click.option("--symbols", type=FOLDER, help="Symbol store. Default: CALLSTREAM_SYMBOL_STORE_DIR.")
@click.option("--snapshot", metavar="DIGEST", help="Snapshot of the symbol store. Default: the current one.")
@click.option("--published", is_flag=True, help="Compare the run with what the live stages published.")
@click.option("--to-topic", "topic", metavar="TOPIC", help="Write the calls to this topic instead of to files.")
@click.option("--force", is_flag=True, help="Let --to-topic be the live topic.")
@click.option("--sign", "key_file", type=FILE, help="Ed25519 private key (PEM) to sign the manifest with.")
@click.option(
    "--public-key",
    "public_key_file",
    type=FILE,
    help="--verify: the manifest must be signed with the key of this public key (PEM).",
)
@click.option(
    "--time-stamp-ca",
    "time_stamp_ca_file",
    type=FILE,
    help="--verify: the signature must have a time-stamp of an authority under this root (PEM).",
)
@click.option(
    "--max", "most", type=click.IntRange(0), default=10, show_default=True, help="--diff: how many events to show."
)
@click.option("--processes", type=click.IntRange(1, 256), help="How many processes. Default: one for each core.")
@click.option(
    "--batch-records",
    type=click.IntRange(1),
    default=BATCH_RECORDS,
    show_default=True,
    help="Records in a batch.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    out: Path | None,
    manifest: Path | None,
    event_id: str | None,
    runs: tuple[Path, Path] | None,
    archive: Path | None,
    policy: Path | None,
    symbols: Path | None,
    snapshot: str | None,
    published: bool,
    topic: str | None,
    force: bool,
    key_file: Path | None,
    public_key_file: Path | None,
    time_stamp_ca_file: Path | None,
    most: int,
    processes: int | None,
    batch_records: int,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Run recorded events through the stages' own steps, without Faust and without touching a consumer group.

    --out makes a run: the calls, as an Avro file for each partition, and manifest.json. The manifest names by digest
    what went in, what decided, and what came out. --verify makes a run again and compares everything with its manifest.
    --diff compares two runs, for example of two policies.

    --event shows one event of a run, such as a row or an answer cites: its call, its raw record as Tetragon sent it,
    the digests of the span that both are in, and the policy. Only that span is made again. The raw record is private.

    --sign puts a DSSE envelope with an in-toto statement beside the manifest, which other tools verify, and a query
    for a time-stamp of its signature. Send manifest.tsq to an authority (RFC 3161) and keep the answer as manifest.tsr.

    The same events under the same configuration give the same bytes: from the topic and from an archive, in any number
    of processes, and in batches of any size.

    \b
    Exit codes:
      0  made, proved, or equal
      1  not proved, not equal to what was published, or the runs differ;
         also if a part of an archive or run is missing or damaged
      2  wrong options or settings, or a file or server cannot be used;
         also if nobody can tell, because manifest, archive or symbol store is
         not at hand
    Example:
      callstream replay --archive case-17 --published --out run-17
      callstream replay --verify run-17/manifest.json
      callstream replay --verify run-17 --event 0f3b...c2 --json
      callstream replay --archive case-17 --policy stricter.toml --out what-if
      callstream replay --diff run-17 what-if
    """
    if sum(mode is not None for mode in (out, manifest, runs)) != 1:
        raise click.UsageError("say one of --out, --verify and --diff")
    settings = load()
    request = ReplayRequest(
        settings=replace(
            settings,
            privacy_policy_file=policy or settings.privacy_policy_file,
            symbol_store_dir=symbols or settings.symbol_store_dir,
        ),
        archive=archive,
        choice=raw_choice(**chosen),
        snapshot=snapshot,
        published=published,
        processes=processes or engine.default_processes(),
        batch_records=batch_records,
    )
    collect_seldom()
    with exits_with(NOT_PROVED, DamagedError), Progress() as progress:
        if runs is not None:
            _refuse_others(context, "--diff", lambda name: name in _COMPARES)
            answer = _diff(*runs, most, progress)
        elif manifest is not None:
            _refuse_others(context, "--verify", lambda name: name in _VERIFIES)
            trust = TrustedSigner(
                None if public_key_file is None else keys.load_public_key(public_key_file),
                () if time_stamp_ca_file is None else time_stamps.load_roots(time_stamp_ca_file),
            )
            if event_id is None:
                answer = _verify(manifest, request, trust, progress)
            else:
                shown = show_event(manifest, event_id, request, progress, trust=trust)
                answer = _Printed(shown.document(), shown.lines(), shown.is_proved)
        else:
            _refuse_others(context, "--out", lambda name: name not in _NOT_MAKING)
            if force and topic is None:
                raise click.UsageError("--force is for --to-topic")
            assert out is not None
            key = None if key_file is None else keys.load_private_key(key_file)
            answer = _make(request, RunOutput(folder=out, topic=topic, force=force, key=key), progress)
    print_answer(answer.document, answer.lines, as_json=as_json)
    context.exit(0 if answer.right else NOT_PROVED)


class _Printed(NamedTuple):
    """What is printed, for a machine and for a person, and whether all is as it should be."""

    document: dict[str, Any]
    lines: Iterable[str]
    right: bool


def _refuse_others(context: click.Context, mode: str, fits: Callable[[str], bool]) -> None:
    """Refuse options that mean nothing beside `mode`: an option that is silently ignored misleads."""
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in {"as_json", "out"} and not fits(name):
            raise click.UsageError(f"{parameter.opts[0]} means nothing with {mode}")


def _make(request: ReplayRequest, output: RunOutput, progress: Progress) -> _Printed:
    made = make(request, output, progress)
    return _Printed(_run_document(output, made), _run_lines(output, made), made.verdict.proved)


def _run_document(output: RunOutput, made: MadeRun) -> dict[str, Any]:
    manifest = made.manifest
    return {
        "manifest": str(output.folder / MANIFEST_FILE),
        "digest": made.digest,
        "calls": manifest.calls,
        "canonical": manifest.canonical,
        "output_topic": manifest.output_topic,
        "books": dict(manifest.books),
        "published": None if manifest.published is None else dict(manifest.published),
        **made.verdict.document(),
    }


def _run_lines(output: RunOutput, made: MadeRun) -> Iterator[str]:
    manifest, books = made.manifest, made.books
    yield (
        f"{books.records:,} raw events: {books.calls:,} calls, {books.not_calls.total():,} not calls, "
        f"{books.dead_letters.total():,} dead letters"
    )
    yield f"calls in {manifest.output_topic or output.folder}, digest {manifest.calls}"
    yield f"manifest {output.folder / MANIFEST_FILE}, digest {made.digest}"
    if manifest.published is not None:
        yield from _published_lines(manifest.published)
    yield from made.verdict.lines()


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


def _verify(manifest: Path, request: ReplayRequest, trust: TrustedSigner, progress: Progress) -> _Printed:
    verdict = verify(manifest, request, progress, trust=trust)
    return _Printed(verdict.document(), _verdict_lines(manifest, verdict), verdict.proved)


def _verdict_lines(path: Path, verdict: RunVerdict) -> Iterator[str]:
    yield from verdict.lines()
    if not verdict.proved:
        yield f"{path}: NOT PROVED"
        return
    signer, before = verdict.facts.get("signed_by"), verdict.facts.get("signed_before")
    records = verdict.facts["books"]["records"]
    by = (f", signed by {signer}" if signer else "") + (f", before {before}" if before else "")
    yield f"{path}: proved, {records:,} raw events give the same bytes{by}"


def _diff(left: Path, right: Path, most: int, progress: Progress) -> _Printed:
    progress.begin("records compared")
    found = diff.compare(left, right, most, progress.add)
    return _Printed(found.document(), _diff_lines(left, right, found), found.equal)


def _diff_lines(left: Path, right: Path, found: RunDiff) -> Iterator[str]:
    yield f"left {left}, right {right}"
    yield from (f"configuration.{one.path}: left {one.left}, right {one.right}" for one in found.configuration)
    yield (
        f"{found.same:,} events are the same, {found.differing:,} differ, {found.only_left:,} are only in the left "
        f"run, {found.only_right:,} only in the right run"
    )
    width = max((len(name) for name in found.by_field), default=0)
    yield from (f"  {name:<{width}}  {count:,} events" for name, count in found.by_field.most_common())
    for event in found.events:
        yield from event.lines()
