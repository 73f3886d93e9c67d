"""Judges the audit by secrets that somebody planted: `python -m tests.support.planted_kinds FILE`.

The form of a file is in tests/golden/privacy/planted/README.md. Each line becomes an execution and goes through the
real filter. What it let out stands among clean calls: those of the workload generator, and ordinary lines of the
tables.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from agents.privacy.calls import CallRefused, PrivacyFilter
from agents.privacy.policy_file import built_in_policy
from agents.privacy.redaction.engine import RedactionEngine
from agents.privacy.verifier import Verifier
from app.simulator.workload.generator import Workload, WorkloadOptions
from schemas import avro_wire, records
from tests.support.events import event, process
from tests.support.privacy import lines, split_command
from tests.support.privacy_judge import joined

PLANTED: Final = Path(__file__).parent.parent / "golden" / "privacy" / "planted"
_TABLES: Final = PLANTED.parent

FEWEST_ROWS: Final = 2
"""Rows of a kind that the filter must let out before the kind says anything about the audit."""

_WORKLOAD_EVENTS: Final = 2_000

Call = Mapping[str, Any]


class PlantedSecret(NamedTuple):
    """One secret, its kind, and the command lines in which it stands."""

    kind: str
    secret: str
    lines: tuple[str, ...]


class KindResult(NamedTuple):
    """What became of one kind: its rows, those that the filter let out, and those of them that the audit found."""

    kind: str
    rows: int
    left: int
    found: int

    @property
    def counts(self) -> bool:
        """Whether enough left to say anything."""
        return self.left >= FEWEST_ROWS

    @property
    def is_found(self) -> bool:
        """Whether the audit found half of what left."""
        return self.counts and 2 * self.found >= self.left


class Judgement(NamedTuple):
    """Results by kind, and how many clean calls there were and were reported."""

    kinds: tuple[KindResult, ...]
    clean: int
    alarms: int


def read_planted(file: Path) -> list[PlantedSecret]:
    """Rows of a file. Raises ValueError for a row that has not the form, by its line."""
    return [_planted(number, line) for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)]


def _planted(number: int, line: str) -> PlantedSecret:
    row = json.loads(line)
    planted = PlantedSecret(row["kind"], row["secret"], tuple(row["lines"]))
    if not 1 <= len(planted.lines) <= 10 or not all(planted.secret in one for one in planted.lines):
        raise ValueError(f"line {number}: one to ten lines are needed, and each must hold the secret")
    return planted


class CallMaker:
    """Makes calls of executions: through the canonicalize step and the filter, as they leave."""

    def __init__(self) -> None:
        policy = built_in_policy("default")
        self._canonicalizer = Canonicalizer({})
        self._filter = PrivacyFilter(policy, RedactionEngine(policy.choices))
        self._offset = 0

    def of_event(self, encoded: bytes) -> bytes | None:
        """The encoded call that leaves of an event; None where there is none."""
        self._offset += 1
        outcome = self._canonicalizer.canonicalize(encoded, 0, self._offset, 0)
        if not isinstance(outcome, Canonical):
            return None
        left = self._filter.filter(outcome.value)
        assert not isinstance(left, CallRefused), left
        return avro_wire.schema_header(0) + left.body

    def encoded(self, line: str) -> bytes:
        """The encoded call of a command line that is executed."""
        binary, arguments = split_command(line)
        who = process(1000 + self._offset, binary=binary, arguments=arguments)
        call = self.of_event(event("process_exec", who).SerializeToString())
        assert call is not None
        return call

    def execution(self, line: str) -> Call:
        """The same, decoded."""
        return _decoded(self.encoded(line))


def _decoded(call: bytes) -> Call:
    return records.decode(records.CALL, call)


def ordinary_lines() -> tuple[str, ...]:
    """Command lines without a secret: those of the tables."""
    return (*lines("ordinary_commands.txt"), *_ordinary_rows())


@cache
def clean_calls() -> tuple[Call, ...]:
    """Calls without a secret that left: of the workload generator, and of ordinary lines."""
    left = CallMaker()
    workload = (left.of_event(one) for one in Workload(WorkloadOptions(events=_WORKLOAD_EVENTS)).events())
    return (*map(_decoded, filter(None, workload)), *map(left.execution, ordinary_lines()))


def _ordinary_rows() -> Iterator[str]:
    for folder in ("manuals", "programs"):
        for line in (_TABLES / folder / "ordinary.jsonl").read_text(encoding="utf-8").splitlines():
            yield joined(json.loads(line)["argv"])


def judge_planted(planted: Sequence[PlantedSecret]) -> Judgement:
    """What the audit finds of `planted` among clean calls."""
    left, clean = CallMaker(), clean_calls()
    calls: list[Call] = list(clean)
    places: list[list[int]] = []
    for row in planted:
        made = [call for call in map(left.execution, row.lines) if row.secret in call["process"]["arguments"]]
        places.append(list(range(len(calls), len(calls) + len(made))))
        calls += made
    reported = set(reported_calls(calls))
    by_kind = defaultdict[str, list[tuple[bool, bool]]](list)
    for row, where in zip(planted, places, strict=True):
        by_kind[row.kind].append((bool(where), not reported.isdisjoint(where)))
    kinds = tuple(
        KindResult(kind, len(rows), sum(left for left, _ in rows), sum(found for _, found in rows))
        for kind, rows in by_kind.items()
    )
    return Judgement(kinds, len(clean), len(reported.intersection(range(len(clean)))))


def reported_calls(calls: Iterable[Call]) -> Iterator[int]:
    """Numbers of the calls that the audit reports."""
    verifier = Verifier()
    for number, call in enumerate(calls):
        if any(list(verifier.findings(call, offset=number))):
            yield number
    yield from (place.offset for place, _ in verifier.compared())


def main() -> None:
    """Print what was found of each kind in a file."""
    judgement = judge_planted(read_planted(Path(sys.argv[1])))
    for one in judgement.kinds:
        verdict = "found" if one.is_found else "missed" if one.counts else "does not count: the filter masks it"
        sys.stdout.write(f"{one.kind}: {one.rows} rows, {one.left} left, {one.found} found: {verdict}\n")
    counted = [one for one in judgement.kinds if one.counts]
    sys.stdout.write(
        f"{sum(one.is_found for one in counted)} of {len(counted)} kinds found; "
        f"{judgement.alarms} of {judgement.clean} clean calls reported\n"
    )


if __name__ == "__main__":
    main()
