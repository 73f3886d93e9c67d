"""`callstream dead-letters`: lists what stages refused, and sends it through again after a fix."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, Final

import click

from app.commands.groups import CommandGroup
from app.commands.options import together
from app.commands.unreadable import say_unreadable
from app.dead_letters.inventory import (
    DeadLetterChoice,
    DeadLetterGroup,
    Inventory,
    LetterState,
    StoredDeadLetter,
    counted,
    grouped,
)
from app.dead_letters.resend import Resender, ResendOutcome
from app.dead_letters.settling import read_letters
from app.dead_letters.trial import trial_of
from app.dead_letters.turn import turn
from app.kafka.topic_reader import TopicReader
from app.operators.printing import echo, print_answer
from app.operators.times import time_text
from app.progress import Progress
from app.settings import load
from app.stages.worker import registered_id
from schemas import topics
from schemas.topics import Stage
from schemas.units import NS_PER_MS

LEFT: Final = 1
"""Exit code if some of the chosen dead letters are still refused or waiting, or their records are gone."""


_PASSING_STAGES: Final = (Stage.CANONICALIZE.value, Stage.PRIVACY.value)
"""Stages whose refusal means that no call was published."""


_selecting: Final = together(
    click.option(
        "--stage",
        "stages",
        multiple=True,
        type=click.Choice([stage.value for stage in Stage]),
        help="Only dead letters of this stage; may be repeated.",
    ),
    click.option(
        "--reason",
        "reasons",
        multiple=True,
        metavar="WORD",
        help="Only dead letters with this reason; may be repeated.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
)
"""Adds the options that choose dead letters."""


@click.group(name="dead-letters", cls=CommandGroup)
def command() -> None:
    """List what stages refused, and send it through again after a fix.

    A dead letter says where a record is and why a stage refused it. It never holds any part of the record.

    \b
    Exit codes:
      0  done
      1  some of the chosen dead letters are still refused or waiting, or their events are gone
      2  wrong options or settings, or Kafka or the registry cannot be used
      3  another retry is running
    Example:
      callstream dead-letters list
      callstream dead-letters retry --stage privacy --dry-run
    """


@command.command(name="list", short_help="List dead letters by stage and reason")
@_selecting
@click.option("--positions", is_flag=True, help="List each dead letter with its position, not only the counts.")
def list_letters(*, stages: tuple[str, ...], reasons: tuple[str, ...], positions: bool, as_json: bool) -> None:
    """List dead letters by stage and reason, and what has become of their events.

    After a crash a stage may read a record again. All dead letters of one raw record count as one. A dead letter is
    published if a later pass made a call of its event that every reader counts. It is waiting if the stages have not
    read everything yet. To know that, the command reads runtime.calls around each dead letter that was not sent again.

    \b
    Exit codes:
      0  listed, also if there are none
      2  wrong options or settings, or Kafka or the registry cannot be used
    Example:
      callstream dead-letters list --positions --reason no_known_kind
    """
    settings, wanted = load(), DeadLetterChoice(stages, reasons)
    with Progress() as progress:
        letters = read_letters(settings, progress)
    document, lines = _document(letters, wanted, positions=positions), _lines(letters, wanted, positions=positions)
    print_answer(document, lines, as_json=as_json)
    say_unreadable("dead-letters", letters.unreadable)


@command.command(short_help="Send refused events through the pipeline again")
@_selecting
@click.option(
    "--dry-run", is_flag=True, help="Say which events would pass under the present settings, and send nothing."
)
@click.option("--max", "most", type=click.IntRange(1), help="Take at most this many dead letters.")
def retry(*, stages: tuple[str, ...], reasons: tuple[str, ...], dry_run: bool, most: int | None, as_json: bool) -> None:
    """Send the events of open dead letters through the pipeline again.

    The command reads each event from tetragon.raw by its position, and tries it under the present settings. Use the
    settings of the workers: policy, hook map and symbol store. An event that would be refused again stays where it is.
    An event that passes is written to tetragon.raw once more, at the end of its partition. It keeps its event id and
    its time of receipt, and running stages treat it like any other. A note beside the dead letter records this, so the
    event is not sent twice. Only open dead letters are taken: an event that has a call by now is not sent.

    One retry sends at a time, whichever hosts they are on. A second one waits for half a minute, and then ends with 3.

    An event that only the hot-symbols stage refused is on runtime.calls already. Sent again, it would be there twice
    under one event id, so it is sent with --stage hot-symbols only.

    \b
    Exit codes:
      0  every chosen event was sent, or has a call already
      1  some are still refused, wait for a stage, or have expired
      2  wrong options or settings, or Kafka or the registry cannot be used
      3  another retry is running
    Example:
      callstream dead-letters retry --stage privacy --dry-run
      callstream dead-letters retry --stage privacy
    """
    settings, wanted = load(), DeadLetterChoice(stages or _PASSING_STAGES, reasons)
    total = ResendOutcome()
    alone = nullcontext() if dry_run else turn(settings, lambda line: echo(line, err=True))
    with alone as mine, Progress() as progress:
        inventory = read_letters(settings, progress)
        letters = inventory.chosen(wanted, LetterState.OPEN)[:most]
        if letters:
            trial = trial_of(settings, registered_id(settings, topics.CALLS))
            with TopicReader(settings) as reader:
                progress.begin("dead letters tried", len(letters))
                resender = Resender(settings, reader, trial, registered_id(settings, topics.DEAD_LETTERS), mine)
                for some in resender.resend(letters, inventory, dry_run=dry_run):
                    total.sent += some.sent
                    total.refused += some.refused
                    total.gone += some.gone
                    progress.at(len(total.sent) + len(total.refused) + total.gone)
    waiting = len(inventory.chosen(wanted, LetterState.WAITING))
    say_unreadable("dead-letters", inventory.unreadable)
    document = {
        "sent": len(total.sent),
        "refused": counted(total.refused),
        "gone": total.gone,
        "waiting": waiting,
        "dry_run": dry_run,
    }
    print_answer(document, _outcome_lines(total, waiting, dry_run=dry_run), as_json=as_json)
    sys.exit(LEFT if total.refused or total.gone or waiting else 0)


def _document(letters: Inventory, wanted: DeadLetterChoice, *, positions: bool) -> dict[str, Any]:
    groups = [kind._asdict() | asdict(group) for kind, group in grouped(letters, wanted).items()]
    document: dict[str, Any] = {"groups": groups, "strangers": letters.strangers}
    document |= letters.unreadable.document()
    if positions:
        document["letters"] = [
            {
                **{f"source_{name}": value for name, value in letter.source._asdict().items()},
                "stage": letter.stage,
                "reason": letter.reason,
                "error_class": letter.error_class,
                "raw_partition": letter.raw_partition,
                "raw_offset": letter.raw_offset,
                "received_ms": letter.timestamp_ms,
                "state": letters.state(letter).value,
                "sent_again_as": letters.sent_again.get(letter.event(letters.raw_topic)),
            }
            for letter in letters.chosen(wanted)
        ]
    return document


def _lines(letters: Inventory, wanted: DeadLetterChoice, *, positions: bool) -> Iterator[str]:
    for kind, group in grouped(letters, wanted).items():
        error = f" ({kind.error_class})" if kind.error_class else ""
        yield (
            f"{kind.stage:<12}  {kind.reason}{error}: {_states(group)}, "
            f"received {time_text(group.first_ms * NS_PER_MS)} to {time_text(group.last_ms * NS_PER_MS)}"
        )
    chosen = letters.chosen(wanted)
    if positions:
        yield from (_line(letters, letter) for letter in chosen)
    if not chosen:
        yield "no dead letters"


def _line(letters: Inventory, letter: StoredDeadLetter) -> str:
    topic, partition, offset = letter.source
    raw = "raw position unknown" if letter.raw is None else f"raw {letter.raw_partition}:{letter.raw_offset}"
    again = letters.sent_again.get(letter.event(letters.raw_topic))
    state = letters.state(letter).value + ("" if again is None else f" as {again[0]}:{again[1]}")
    return f"{topic} {partition}:{offset}  {letter.stage}/{letter.reason}  {raw}  {state}"


def _states(group: DeadLetterGroup) -> str:
    """How many dead letters are in which state; only the usual two are named where there are none."""
    more = {"published since": group.published, "waiting for a stage": group.waiting}
    named = "".join(f", {count} {state}" for state, count in more.items() if count)
    return f"{group.open} open, {group.sent_again} sent again{named}"


def _outcome_lines(total: ResendOutcome, waiting: int, *, dry_run: bool) -> Iterator[str]:
    yield f"{len(total.sent)} {'would be sent' if dry_run else 'sent'} again"
    for kind, count in counted(total.refused).items():
        yield f"{count} would still be refused: {kind}"
    if waiting:
        yield (
            f"{waiting} wait: canonicalize or privacy will read the record again, or has not read all that follows "
            "from it; run this again when both run and have caught up"
        )
    if total.gone:
        yield f"{total.gone} cannot be sent: their raw records have expired, or their position is not known"
