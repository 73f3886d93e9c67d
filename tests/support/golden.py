"""Golden cases: recorded events and what must become of them.

A case is two files of one name: `events/NAME.jsonl`, lines as Tetragon's JSON exporter writes them, and
`expected/NAME.json`, which says what the case is about, what outcome each line must have, the canonical event, and the
call that is published under the default policy. A case proves itself: its author states the outcomes, and an event that
takes another path fails, whatever is written down as canonical. To add one:

    make golden ADD=FILE
    python -m tests.support.golden add FILE --about "What it shows." --outcome Kretprobe

FILE has the export lines, and its name becomes the case's. The first form writes down the outcomes that it sees and
makes a sentence of the name; look at both before you commit. `--outcome` is given once for each line: a probe type, or
`not_a_call:REASON`, or `refused:REASON`. Events of one file are canonicalized one after the other, as one partition.
After a wanted change, `make golden` rewrites canonical events and calls (never an outcome), and `git diff` shows what
the change did.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical, NotACall, Outcome
from agents.canonicalize.probes import HookKind
from agents.privacy.calls import CallRefused, PrivacyFilter
from agents.privacy.policy_file import built_in_policy
from agents.privacy.redaction.engine import RedactionEngine
from app.simulator.event_files import read_events
from schemas import avro_wire, records
from schemas.canonical_pb2 import CanonicalEvent
from schemas.probe_types import PROBE_TYPES

FOLDER: Final = Path(__file__).parent.parent / "golden"
EVENTS: Final = FOLDER / "events"
EXPECTED: Final = FOLDER / "expected"

PARTITION: Final = 3
FIRST_OFFSET: Final = 700
RECEIPT_MS: Final = 1_767_787_260_000
"""Where and when the events of a case were received; a call without any time takes this one."""

_LINE_CHARS: Final = 200
"""An object that fits is written on one line."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `hooks` is the operator's map from policy name to hook kind.

    `canonical` and `call` have an item for each event. A canonical event is None, and a call is a text that says why,
    if the event does not become one.
    """

    name: str
    about: str
    outcomes: tuple[str, ...]
    hooks: Mapping[str, str]
    canonical: tuple[dict[str, Any] | None, ...]
    call: tuple[dict[str, Any] | str, ...]

    @property
    def events(self) -> list[bytes]:
        """Its events, as they would come from Tetragon."""
        return list(read_events([EVENTS / f"{self.name}.jsonl"]))


def cases() -> list[Case]:
    """All cases, by name."""
    return [_load(path) for path in sorted(EXPECTED.glob("*.json"))]


def observed(events: Sequence[bytes], hooks: Mapping[str, str]) -> list[Outcome]:
    """What becomes of the events of a case."""
    canonicalizer = Canonicalizer({policy: HookKind(kind) for policy, kind in hooks.items()})
    return [
        canonicalizer.canonicalize(event, PARTITION, FIRST_OFFSET + number, RECEIPT_MS)
        for number, event in enumerate(events)
    ]


def outcome_text(outcome: Outcome) -> str:
    """An outcome as a case states it."""
    if isinstance(outcome, Canonical):
        return PROBE_TYPES[outcome.probe_type]
    return f"not_a_call:{outcome}" if isinstance(outcome, NotACall) else f"refused:{outcome.reason}"


def readable(outcome: Outcome) -> dict[str, Any] | None:
    """The canonical event with proto field names, its id in hex; None for what is not a call."""
    if not isinstance(outcome, Canonical):
        return None
    event = CanonicalEvent.FromString(outcome.value)
    found: dict[str, Any] = json_format.MessageToDict(event, preserving_proto_field_name=True)
    return found | {"event_id": event.event_id.hex()}


def published(outcome: Outcome) -> dict[str, Any] | str:
    """The call that is published of an outcome, decoded; a text if there is none."""
    if not isinstance(outcome, Canonical):
        return "no call"
    found = _default_filter().filter(outcome.value)
    if isinstance(found, CallRefused):
        return f"refused:{found.reason}"
    call: dict[str, Any] = records.decode(records.CALL, avro_wire.schema_header(0) + found.body)
    return call


@cache
def _default_filter() -> PrivacyFilter:
    policy = built_in_policy("default")
    return PrivacyFilter(policy, RedactionEngine(policy.choices))


def store(case: Case) -> None:
    """Write what is expected."""
    content: dict[str, Any] = {"about": case.about, "outcomes": list(case.outcomes)}
    if case.hooks:
        content["hooks"] = dict(case.hooks)
    content["canonical"] = list(case.canonical)
    content["call"] = list(case.call)
    (EXPECTED / f"{case.name}.json").write_text(_layout(content) + "\n", encoding="utf-8")


def _load(path: Path) -> Case:
    content = json.loads(path.read_text(encoding="utf-8"))
    return Case(
        path.stem,
        content["about"],
        tuple(content["outcomes"]),
        content.get("hooks", {}),
        tuple(content["canonical"]),
        tuple(content["call"]),
    )


def _layout(value: Any, indent: str = "") -> str:
    """JSON for people: what fits stands on one line."""
    short = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(short) <= _LINE_CHARS or not isinstance(value, dict | list):
        return short
    deeper = indent + "  "
    if isinstance(value, dict):
        lines = [f"{deeper}{json.dumps(key)}: {_layout(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + _layout(item, deeper) for item in value) + f"\n{indent}]"


def _add(options: Namespace) -> str:
    name, lines = options.file.stem, options.file.read_text(encoding="utf-8")
    if (EXPECTED / f"{name}.json").exists():
        return f"there is a case {name} already; give the file another name"
    hooks = dict(hook.split("=", 1) for hook in options.hook)
    outcomes = observed(list(read_events([options.file])), hooks)
    found = [outcome_text(outcome) for outcome in outcomes]
    if options.outcome and found != options.outcome:
        return f"the events do not become {options.outcome}, but {found}"
    (EVENTS / f"{name}.jsonl").write_text(lines if lines.endswith("\n") else lines + "\n", encoding="utf-8")
    about = options.about or f"{name[0].upper()}{name[1:].replace('-', ' ')}."
    store(_case_of(name, about, hooks, outcomes))
    sys.stdout.write(f"{EXPECTED / name}.json: {about} {', '.join(found)}\n")
    return ""


def _update(_options: Namespace) -> str:
    for case in cases():
        outcomes = observed(case.events, case.hooks)
        if tuple(map(outcome_text, outcomes)) != case.outcomes:
            return f"case {case.name} does not become {case.outcomes} any more; nothing but its author may change that"
        store(_case_of(case.name, case.about, case.hooks, outcomes))
    return ""


def _case_of(name: str, about: str, hooks: Mapping[str, str], outcomes: Sequence[Outcome]) -> Case:
    canonical, calls = tuple(map(readable, outcomes)), tuple(map(published, outcomes))
    return Case(name, about, tuple(map(outcome_text, outcomes)), hooks, canonical, calls)


def main() -> None:
    """The command line of this module."""
    parser = ArgumentParser(prog="python -m tests.support.golden", description="Add and update golden cases.")
    commands = parser.add_subparsers(required=True)
    add = commands.add_parser("add", help="make a case of a file of export lines")
    add.add_argument("file", type=Path)
    add.add_argument("--about", help="what the case shows, in a sentence; default: made of the file's name")
    add.add_argument("--outcome", action="append", help="of each line, in order; default: what is seen")
    add.add_argument("--hook", action="append", default=[], metavar="POLICY=KIND")
    add.set_defaults(run=_add)
    update = commands.add_parser("update", help="rewrite the canonical events and calls of all cases")
    update.set_defaults(run=_update)
    options = parser.parse_args()
    sys.exit(options.run(options) or 0)


if __name__ == "__main__":
    main()
