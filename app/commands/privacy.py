"""`callstream privacy`: checks a policy, runs cases, explains an event, audits a topic, compares policies."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Final

import click

from agents.canonicalize.events import Canonicalizer
from agents.privacy.explain import Fate
from agents.privacy.policy import Policy
from agents.privacy.policy_file import BUILT_IN, built_in_policy, built_in_text
from app.commands.groups import CommandGroup
from app.commands.options import FILE_OR_INPUT, text_of
from app.commands.privacy_audit import audit_command
from app.commands.privacy_compare import compare_command
from app.commands.unreadable import say_unreadable
from app.kafka.refused import RefusedRecords
from app.operators.json_text import json_text
from app.operators.printing import echo, print_answer
from app.privacy.cases import parse_cases, run_cases
from app.privacy.explaining import ExplainedEvent, UnexplainedEvent, explained
from app.privacy.load import Privacy, load_policy, load_privacy
from app.privacy.workloads import WorkloadSecrets, read_calls, secrets_by_workload
from app.progress import Progress
from app.settings import load
from app.steps import load_policy_hooks

FAILED: Final = 1
"""Exit code if a case failed, an event was refused, or private data left."""

_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_json_lines_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
_policy_option = click.option(
    "--policy", "policy_file", type=FILE_OR_INPUT, help="Policy to use. Default: CALLSTREAM_PRIVACY_POLICY_FILE."
)


@click.group(name="privacy", cls=CommandGroup)
def command() -> None:
    """Check what leaves the pipeline: the policy, a table of cases, one event, or a whole topic.

    \b
    Exit codes:
      0  no fault found
      1  a case failed, an event was refused, or private data left
      2  wrong options or settings, or a file or server cannot be used
    Example:
      callstream privacy test our-cases.toml --policy our-policy.toml
    """


@command.command(name="policy", short_help="Show a built-in policy, or check a file")
@click.option("--show", type=click.Choice(BUILT_IN), help="Print a built-in policy, to start from.")
@click.option("--check", "file", type=FILE_OR_INPUT, help="Say what is wrong with a policy file, by line and rule.")
@_json_option
def policy_command(show: str | None, file: Path | None, as_json: bool) -> None:
    """Print a built-in policy, check a policy file, or show the policy in force.

    \b
    Exit codes:
      0  printed, or the file is right
      2  wrong options or settings, or the file is wrong; the message says where
    Example:
      callstream privacy policy --show default > policy.toml
      callstream privacy policy --check policy.toml
    """
    if show is not None and not as_json:
        for line in built_in_text(show).splitlines():
            echo(line)
        return
    policy = built_in_policy(show) if show is not None else load_policy(file or load().privacy_policy_file)
    document = {"name": policy.name, "policy_id": policy.policy_id, **policy.canonical_form()}
    print_answer(document, _summary(policy), as_json=as_json)


def _summary(policy: Policy) -> Iterator[str]:
    """What a policy lets out, for a person: kinds of event with the same fields stand together."""
    yield f"policy {policy.name}, id {policy.policy_id}"
    kinds: dict[frozenset[str], list[str]] = {}
    for probe_type, fields in policy.allowed:
        kinds.setdefault(fields, []).append(probe_type)
    for fields, probe_types in kinds.items():
        yield f"  {len(fields)} fields leave of {', '.join(probe_types)}"
    choices = policy.choices
    emails = "redacted" if choices.emails else "left"
    yield f"  users: {choices.users.value}, homes: {choices.homes.value}, emails: {emails}"
    patterns = len(choices.patterns) + len(choices.credential_paths)
    yield f"  {len(choices.names)} names and {patterns} patterns of its own"


@command.command(name="test", short_help="Run a table of redaction cases")
@click.argument("file", type=FILE_OR_INPUT)
@_policy_option
@_json_option
def test_command(file: Path, policy_file: Path | None, as_json: bool) -> None:
    """Run the cases in FILE against a policy, and print the cases that fail.

    \b
    A case in TOML:
      [[case]]
      title = "our deploy tool"
      arguments = "deploy --badge-code 1234"      # or text, path, user, name,
                                                  # symbol, address, buffer
      leaves = "deploy --badge-code [redacted]"   # default, without `hides`:
      hides = ["1234"]                            # the text leaves unchanged
    Exit codes:
      0  every case passed
      1  a case failed
      2  wrong options or settings, or a file cannot be used
    Example:
      callstream privacy test our-cases.toml
    """
    privacy = _privacy(policy_file)
    cases = parse_cases(text_of(file))
    failures = list(run_cases(cases, privacy.engine))
    found = [{"case": f.case.title, "left": f.left, "expected": f.expected} for f in failures]
    document = {"policy_id": privacy.policy.policy_id, "cases": len(cases), "failures": found}
    shown = [(f.case.title, f"  left:     {f.left}", f"  expected: {f.expected}") for f in failures]
    summary = f"{len(cases)} cases, {len(failures)} failed, policy {privacy.policy.policy_id}"
    print_answer(document, chain(*shown, [summary]), as_json=as_json)
    sys.exit(FAILED if failures else 0)


@command.command(name="explain", short_help="Say what happens to an event, field by field")
@click.argument("file", type=FILE_OR_INPUT)
@click.option("--all", "show_all", is_flag=True, help="Show the fields that leave unchanged, too.")
@_policy_option
@_json_lines_option
def explain_command(file: Path, show_all: bool, policy_file: Path | None, as_json: bool) -> None:
    """Say, field by field, what happens to the events in FILE.

    FILE holds lines of Tetragon's JSON export, one event a line; `-` is standard input. The output shows what would
    leave, and never what would not. Of fields that have no place in a call, such as environment variables, it shows the
    names.

    \b
    Exit codes:
      0  explained; events that are not calls are named
      1  an event was refused
      2  wrong options or settings, or a file cannot be used
    Example:
      tetra getevents | head -1 | callstream privacy explain -
    """
    privacy = _privacy(policy_file)
    canonicalizer = Canonicalizer(load_policy_hooks(load().policy_hooks_file))
    refused = 0
    for number, line in enumerate(filter(str.strip, text_of(file).splitlines()), 1):
        story = explained(line, number, canonicalizer, privacy.policy, privacy.engine)
        match story:
            case UnexplainedEvent():
                refused += story.is_refused
                echo(f"event {number}: {story.reason}", err=not as_json)
            case ExplainedEvent() if as_json:
                echo(json_text({**asdict(story.explanation), "dropped": story.dropped}))
            case _:
                for shown in _lines(number, story, show_all):
                    echo(shown)
    sys.exit(FAILED if refused else 0)


def _lines(number: int, found: ExplainedEvent, show_all: bool) -> Iterator[str]:
    story = found.explanation
    fates = Counter(one.fate for one in story.fields)
    counts = ", ".join(f"{fates[fate]} {fate}" for fate in Fate)
    yield f"event {number}: {story.probe_type} {story.event_id}: {counts} (policy {story.policy_id})"
    width = max((len(one.field) for one in story.fields), default=0)
    for one in story.fields:
        if one.fate is Fate.KEPT and not show_all:
            continue
        rules = ", ".join(f"{rule} {count}" for rule, count in one.rules)
        left = f"  -> {one.left}" if one.left is not None else ""
        yield f"  {one.field:<{width}}  {one.fate.value:<8}  {rules}{left}"
    if found.dropped:
        yield f"  dropped before the filter: {', '.join(found.dropped)}"


command.add_command(audit_command)
command.add_command(compare_command)


@command.command(name="workloads", short_help="Say which workloads put secrets into arguments")
@_json_option
def workloads_command(as_json: bool) -> None:
    """Count, by workload and program, the calls whose process had a secret among its arguments.

    \b
    Exit codes:
      0  counted
      1  records that cannot be read
      2  wrong options or settings, or Kafka cannot be used
    Example:
      callstream privacy workloads
    """
    refused = RefusedRecords()
    with Progress() as progress:
        found = secrets_by_workload(read_calls(load(), progress, refused))
    lines = [f"{one.with_secrets} of {one.calls} calls  {_place(one)}" for one in found]
    document = {"records": progress.done, "workloads": [asdict(one) for one in found]}
    print_answer(
        document | refused.document(), [*lines, f"{progress.done} records, {len(found)} programs"], as_json=as_json
    )
    say_unreadable("privacy", refused)
    sys.exit(FAILED if refused.counts() else 0)


def _place(found: WorkloadSecrets) -> str:
    """Where a program runs: its namespace and workload, or nothing for a process of the node."""
    return " ".join(filter(None, (f"{found.namespace}/{found.workload}".strip("/"), found.binary)))


def _privacy(policy_file: Path | None) -> Privacy:
    settings = load()
    if policy_file is not None:
        settings = replace(settings, privacy_policy_file=policy_file)
    return load_privacy(settings)
