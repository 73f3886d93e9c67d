"""A shadow run: recorded events through the filter as it would be, beside what it was: `callstream privacy compare`.

What it was is another policy, or a run that another release made of the same archive. An event whose call is the same
costs no more than filtering it twice. Of the others the fields are compared: what is masked now that was not, and what
leaves now that was masked, each with the rules that did it. Values are private; only samples have them.
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Final, NamedTuple

from agents.privacy.calls import CallRefused, FilteredCall
from agents.privacy.explain import explain
from agents.privacy.repeats import tail_of
from app.evidence.documents import Difference
from app.kafka.records import Recorded
from app.privacy.load import Privacy
from app.replay.diff import field_differences
from schemas import avro_wire, records

_INDEX: Final = re.compile(r"\[\d+\]")
_SPARED: Final = ("redaction", "symbol_snapshot")
"""Fields that say how a call was made, and nothing of the event."""

_TOKENS: Final = re.compile(r"(\[(?:redacted|credential|user|home)[^\]]*\]|~|\s+|[=:,/])")
_MASKS: Final = re.compile(r"\[(?:redacted|credential|user|home)[^\]]*\]|~")
_NOTHING: Final = frozenset({"null", '""', "[]", "0", "{}"})

_REMEMBERED: Final = 4_096
"""Events whose rules are remembered, of a kilobyte or two each."""

WITHHELD: Final = "withheld"
"""Stands for a rule where a policy lets a whole field out or not."""

UNKNOWN: Final = "unknown"
"""Stands for a rule where a run does not say which of its event's rules it was."""


class Direction(StrEnum):
    """What the filter as it would be does with a part of a text."""

    MASKED_NOW = "masked now"
    LEAVES_NOW = "leaves now"
    OTHERWISE = "otherwise"
    """Masked both times, in another way."""


class ShadowSample(NamedTuple):
    """One field of one event, before and now, as JSON. It may hold what one of the two would not let out."""

    event_id: str
    field: str
    direction: str
    before: str
    now: str


class FilteredBefore(NamedTuple):
    """What a canonical event became: the call, its body with the policy's id if it was just made, and its rules.

    `rules` are those by field; None if only those of the whole event are known.
    """

    call: Callable[[], dict[str, Any]]
    body: bytes | None = None
    rules: Callable[[], Mapping[str, Counter[str]]] | None = None


Before = Callable[[Recorded], FilteredBefore | CallRefused | None]
"""What became of a canonical event, which stands at its raw position; None if it became no call of a run."""


@dataclass(slots=True)
class ShadowDiff:
    """How the filter as it would be compares. `changes` counts texts by direction, field without index, and rule."""

    most_samples: int
    same: int = 0
    differing: int = 0
    refused_now: int = 0
    refused_before: int = 0
    changes: Counter[tuple[Direction, str, str]] = field(default_factory=Counter)
    samples: list[ShadowSample] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether the same leaves."""
        return not (self.differing or self.refused_now or self.refused_before)

    def document(self) -> dict[str, Any]:
        """For a machine."""
        rows = [
            {"direction": direction.value, "field": name, "rule": rule, "texts": count}
            for (direction, name, rule), count in sorted(self.changes.items())
        ]
        counts = {
            "same": self.same,
            "differing": self.differing,
            "refused_now": self.refused_now,
            "refused_before": self.refused_before,
        }
        samples = {"samples": [one._asdict() for one in self.samples]} if self.most_samples else {}
        return {"equal": self.is_equal, **counts, "changes": rows, **samples}

    def lines(self) -> Iterator[str]:
        """For a person."""
        yield (
            f"{self.same:,} events leave as before, {self.differing:,} differently; {self.refused_now:,} are refused "
            f"now and were not, {self.refused_before:,} were refused and are not"
        )
        for direction in Direction:
            rows = [(count, name, rule) for (one, name, rule), count in self.changes.items() if one is direction]
            if rows:
                yield f"{direction.value}:"
            for count, name, rule in sorted(rows, key=lambda row: (-row[0], row[1:])):
                yield f"  {count:,} texts  {name}  {rule}"
        for sample in self.samples:
            yield f"{sample.event_id} {sample.field}, {sample.direction}"
            yield f"  before  {sample.before}"
            yield f"  now     {sample.now}"


class ShadowRun:
    """Compares canonical events one by one; `diff` is what it has found so far."""

    def __init__(self, now: Privacy, before: Before, most_samples: int) -> None:
        self.diff = ShadowDiff(most_samples)
        self._now = now
        self._filter = now.filter()
        self._rules = RulesByField(now)
        self._before = before

    def see(self, canonical: Recorded) -> None:
        """Compare what becomes of a canonical event."""
        before, now = self._before(canonical), self._filter.filter(canonical.value)
        was_refused = before is None or isinstance(before, CallRefused)
        if isinstance(now, CallRefused):
            self.diff.same += was_refused
            self.diff.refused_now += not was_refused
        elif before is None or isinstance(before, CallRefused):
            self.diff.refused_before += 1
        elif before.body is not None and before.body == without_policy(now.body, self._now):
            self.diff.same += 1
        else:
            self._compare(canonical, before, _decoded(now))

    def _compare(self, canonical: Recorded, before: FilteredBefore, now: dict[str, Any]) -> None:
        was = before.call()
        found = [one for one in field_differences(was, now) if not one.path.startswith(_SPARED)]
        if not found:
            self.diff.same += 1
            return
        self.diff.differing += 1
        rules_now = self._rules.of(canonical.value)
        rules_then = None if before.rules is None else before.rules()
        for one in found:
            gained = _more(rules_now, rules_then, one.path, now, was)
            lost = _more(rules_then, rules_now, one.path, was, now)
            for direction, rules in _told(one, gained, lost):
                for rule in rules:
                    self.diff.changes[direction, _INDEX.sub("[]", one.path), rule] += 1
                if len(self.diff.samples) < self.diff.most_samples:
                    sample = ShadowSample(now["event_id"], one.path, direction.value, one.left, one.right)
                    self.diff.samples.append(sample)


def of_policy(policy: Privacy) -> Before:
    """What another policy makes of canonical events."""
    filtered, rules = policy.filter(), RulesByField(policy)

    def ask(canonical: Recorded) -> FilteredBefore | CallRefused:
        outcome = filtered.filter(canonical.value)
        if isinstance(outcome, CallRefused):
            return outcome
        return FilteredBefore(
            partial(_decoded, outcome),
            without_policy(outcome.body, policy),
            partial(rules.of, canonical.value),
        )

    return ask


def without_policy(body: bytes, policy: Privacy) -> bytes:
    """The body of a call without the id of its policy, which differs where nothing else does."""
    return body.replace(policy.policy.policy_id.encode(), b"", 1)


class RulesByField:
    """The rules that changed each field of a canonical event, with their counts.

    Most events repeat others in all but id, time and position, so their rules are remembered by the rest of them.
    """

    def __init__(self, policy: Privacy) -> None:
        self._policy = policy
        self._known: dict[bytes, dict[str, Counter[str]]] = {}

    def of(self, canonical: bytes | None) -> dict[str, Counter[str]]:
        """The rules by field."""
        content = canonical or b""
        rest = tail_of(content)
        found = self._known.get(rest)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[rest] = self._explained(content)
        return found

    def _explained(self, canonical: bytes) -> dict[str, Counter[str]]:
        rules: dict[str, Counter[str]] = {}
        story = explain(self._policy.policy, self._policy.engine, canonical)
        for one in () if isinstance(story, CallRefused) else story.fields:
            rules.setdefault(one.field, Counter()).update(dict(one.rules))  # a value may have several texts
        return rules


def _decoded(call: FilteredCall) -> dict[str, Any]:
    return records.decode(records.CALL, avro_wire.schema_header(0) + call.body)


def _more(
    mine: Mapping[str, Counter[str]] | None,
    others: Mapping[str, Counter[str]] | None,
    path: str,
    call: Mapping[str, Any],
    other: Mapping[str, Any],
) -> list[str]:
    """Rules that one side has of a field and the other has not; of the whole event where the field is not known."""
    if mine is not None and others is not None:
        return sorted(mine.get(path, Counter()) - others.get(path, Counter()))
    counts = Counter(call["redaction"]["counts"]) - Counter(other["redaction"]["counts"])
    known = Counter[str]() if mine is None else mine.get(path, Counter())
    return sorted(rule for rule in counts if mine is None or rule in known)


def _told(one: Difference, gained: Sequence[str], lost: Sequence[str]) -> Iterator[tuple[Direction, Sequence[str]]]:
    """Directions in which a field changed, each with its rules."""
    if one.right in _NOTHING or one.left in _NOTHING:
        yield (Direction.MASKED_NOW if one.right in _NOTHING else Direction.LEAVES_NOW), [WITHHELD]
        return
    directions = directions_of(one.left, one.right)
    if Direction.MASKED_NOW in directions:
        yield Direction.MASKED_NOW, gained or [UNKNOWN]
    if Direction.LEAVES_NOW in directions:
        yield Direction.LEAVES_NOW, lost or [UNKNOWN]
    if not directions:
        yield Direction.OTHERWISE, sorted({*gained, *lost}) or [UNKNOWN]


def directions_of(before: str, now: str) -> set[Direction]:
    """Whether a text lost more to masks now, or less; both, where it lost more at one place and less at another."""
    lefts, rights = (_TOKENS.split(text) for text in (before, now))
    found = set[Direction]()
    for kind, begin, end, first, last in difflib.SequenceMatcher(None, lefts, rights, autojunk=False).get_opcodes():
        if kind != "equal":
            was, still = (_MASKS.sub("", "".join(part)) for part in (lefts[begin:end], rights[first:last]))
            if len(still) < len(was):
                found.add(Direction.MASKED_NOW)
            elif len(still) > len(was):
                found.add(Direction.LEAVES_NOW)
    return found
