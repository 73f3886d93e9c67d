"""`callstream privacy compare`: what another policy, or another release, would mask and would let out."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from app.commands.options import EXISTING_FILE
from app.operators.printing import print_answer
from app.privacy.load import load_privacy
from app.processes.garbage import collect_seldom
from app.progress import Progress
from app.replay.shadow import Before, ShadowRun, of_policy
from app.replay.shadow_input import RunBefore, canonical_events, is_run
from app.settings import Settings, load

DIFFERENT: Final = 1

_PATH: Final = click.Path(path_type=Path, exists=True)


@click.command(name="compare", short_help="Say what a new policy or release would mask")
@click.argument("events", type=_PATH)
@click.option("--policy", type=EXISTING_FILE, help="The new policy. Default: the one in force.")
@click.option(
    "--against",
    type=_PATH,
    metavar="POLICY|RUN",
    help="The old policy's file, or the folder of a run. Default: the policy in force.",
)
@click.option(
    "--samples",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="Show the first fields that differ, before and now. They are PRIVATE: one of the two lets more out.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def compare_command(
    *, events: Path, policy: Path | None, against: Path | None, samples: int | None, as_json: bool
) -> None:
    """Filter recorded events twice, and say what is masked that was not, and the other way round.

    EVENTS is an archive of `callstream record`, or a file with lines of Tetragon's JSON export. Nothing is written, and
    no topic is touched. Counts are of texts, by field and by rule; `withheld` stands for a whole field.

    To compare policies, name the new one with --policy, or the old one with --against, or both. To compare releases,
    let the old release make a run of an archive (callstream replay --archive DIR --out RUN), and name the run with
    --against: this program filters the same events and compares them with the run's calls.

    \b
    Exit codes:
      0  the same leaves
      1  something differs
      2  wrong options or settings, or a file cannot be used
    Example:
      callstream privacy compare case-17 --policy stricter.toml
      callstream privacy compare case-17 --against run-of-old-release
    """
    if policy is None and against is None:
        raise click.UsageError("name a policy with --policy, or a policy or run with --against")
    settings = load()
    file = policy or settings.privacy_policy_file
    now = load_privacy(replace(settings, privacy_policy_file=file))
    shadow = ShadowRun(now, _before(settings, against, events), samples or 0)
    collect_seldom()
    with Progress() as progress:
        for canonical in canonical_events(settings, events, progress):
            shadow.see(canonical)
    print_answer(shadow.diff.document(), shadow.diff.lines(), as_json=as_json)
    sys.exit(0 if shadow.diff.is_equal else DIFFERENT)


def _before(settings: Settings, against: Path | None, events: Path) -> Before:
    """What events became: in a run, or under the old policy."""
    if against is not None and is_run(against):
        return RunBefore(against, events)
    return of_policy(load_privacy(replace(settings, privacy_policy_file=against or settings.privacy_policy_file)))
