"""`callstream privacy audit`: looks for private data in what left."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from agents.privacy.audit.needles import ENCODINGS
from app.commands.options import FILE_OR_INPUT, POSITION_HELP, position_option, text_of
from app.commands.unreadable import say_unreadable
from app.kafka.positions import Position
from app.kafka.refused import RefusedRecords
from app.operators.json_text import json_text
from app.operators.printing import echo, print_answer
from app.privacy.audit import AuditChoice, PartFindings, joined, parts_of
from app.privacy.audit_processes import look_at_all
from app.progress import Progress
from app.replay.engine import default_processes
from app.settings import load

FAILED: Final = 1


@click.command(name="audit", short_help="Look for private data in what left", epilog=POSITION_HELP)
@click.argument("topic", default="runtime.calls")
@click.option(
    "--needles",
    type=FILE_OR_INPUT,
    help=f"Known secrets, one a line, some hundreds at most. Found {'; '.join(ENCODINGS)}.",
)
@position_option("--from", "start", "Where to begin.", "first")
@position_option("--to", "end", "Where to end, not included.", "last")
@click.option("--sample", type=click.IntRange(1), help="Look at about this many records, evenly spread.")
@click.option("--processes", type=click.IntRange(1, 256), help="How many processes. Default: one for each core.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
def audit_command(
    *,
    topic: str,
    needles: Path | None,
    start: Position,
    end: Position,
    sample: int | None,
    processes: int | None,
    as_json: bool,
) -> None:
    """Look for private data in a public topic.

    A second opinion: it works with other means than the filter. It prints the position, the field and the rule of each
    finding, and never the value.

    \b
    What it can tell, in any text:
      known forms         tokens by their prefix, keys, digests of passwords, logins in URLs
      numbers that prove themselves    payment cards, bank accounts, keys of wallets
      random words        letters and digits mixed as chance mixes them
      made-up passwords   a word with a year and a sign, digits for letters, the most used ones
      announced words     what stands behind a name of secrets, in some twenty languages
      encoded words       base 64 and hexadecimal digits that hold one of these
    What it can tell of many texts together:
      unmasked-slot       the filter masks this place of a program, and once it did not
      recurring-word      a strange word that comes back in another program; a code of 8 to 10 digits, words joined by
                          signs, or written words with a number, that three programs share and that name nothing
      word-phrase         ordinary words in a row that nobody else uses

    It cannot tell a secret that reads as an ordinary word or name, a digest or number that nothing announces, a short
    word that stands alone, nor one that is compressed, encrypted or encoded twice. Nothing found proves nothing. Give
    it your own secrets with --needles. Of 10,000 clean calls it reports about one; look at what it names, and judge.

    \b
    Exit codes:
      0  nothing found
      1  private data found, or records that cannot be read
      2  wrong options or settings, a restricted topic, or Kafka cannot be used
    Example:
      callstream privacy audit runtime.calls --from 1h --sample 100000
    """
    settings, refused = load(), RefusedRecords()
    lines = text_of(needles).splitlines() if needles is not None else ()
    choice = AuditChoice(topic, start, end, sample, tuple(lines), processes or default_processes())
    with Progress() as progress:
        parts = parts_of(settings, choice)
        progress.begin("records audited", sum(part.offsets for part in parts))
        found = joined(look_at_all(settings, parts, progress.at))
    for refusal in found.refused:
        refused.note(refusal)
    _say(found, topic, refused, as_json=as_json)
    say_unreadable("privacy", refused)
    sys.exit(FAILED if found.by_rule or refused.counts() else 0)


def _say(found: PartFindings, topic: str, refused: RefusedRecords, *, as_json: bool) -> None:
    """Print the findings, and how many there were."""
    for one in found.findings:
        if as_json:
            echo(json_text({"partition": one.partition, "offset": one.offset, **asdict(one.finding)}))
        else:
            echo(f"{topic} {one.partition}:{one.offset} {one.finding.field}: {one.finding.rule}")
    total = sum(found.by_rule.values())
    unsaid = total - len(found.findings)
    summary = {
        "topic": topic,
        "records": found.records,
        "findings": total,
        "by_rule": dict(sorted(found.by_rule.items())),
    }
    more = f", {unsaid} of them without a line" if unsaid else ""
    print_answer(summary | refused.document(), [f"{found.records} records, {total} findings{more}"], as_json=as_json)
