"""Tables of redaction cases that an operator keeps beside a policy: reading and running them.

    [[case]]
    title = "our deploy tool"                        # optional
    binary = "/opt/bin/deploy"                       # optional, for `arguments`
    arguments = "deploy --badge-code 1234"           # or text, path, user, name, symbol, address, buffer
    leaves = "deploy --badge-code [redacted]"        # what must leave, exactly
    hides = ["1234"]                                 # and, or instead: what must not leave
    truncated = false                                # optional, for `arguments`

A case with neither `leaves` nor `hides` expects the text unchanged. All errors of a file are reported at once, by case.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from agents.privacy.redaction.answers import Cleared, Redactor, TextAnswer
from agents.toml_text import TomlTextError, parse_toml
from app.operators.errors import OperatorError

QUESTIONS: Final = ("arguments", "text", "path", "user", "name", "symbol", "address", "buffer")
_KEYS: Final = frozenset({*QUESTIONS, "title", "binary", "leaves", "hides", "truncated"})


class CasesError(OperatorError):
    """The table cannot be used; `problems` says why, case by case."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def lines(self) -> list[str]:
        """One problem a line."""
        return self.problems


@dataclass(frozen=True, slots=True)
class Case:
    """One case: a question about a text, and what is expected of the answer."""

    title: str
    question: str
    text: str
    binary: str
    truncated: bool
    leaves: str | None
    hides: tuple[str, ...]

    def ask(self, redactor: Redactor) -> TextAnswer:
        """The engine's answer."""
        match self.question:
            case "arguments":
                return redactor.arguments(self.binary, self.text, truncated=self.truncated)
            case "buffer":
                return redactor.buffer(self.text.encode())
            case question:
                answer: TextAnswer = getattr(redactor, question)(self.text)
                return answer


@dataclass(frozen=True, slots=True)
class CaseFailure:
    """A case that failed: what left, or the reason of a refusal, and what was expected."""

    case: Case
    left: str
    expected: str


def run_cases(cases: list[Case], redactor: Redactor) -> Iterator[CaseFailure]:
    """The cases that fail."""
    for case in cases:
        answer = case.ask(redactor)
        if not isinstance(answer, Cleared):
            yield CaseFailure(case, f"refused: {answer.value}", "an answer")
            continue
        shown = [hidden for hidden in case.hides if hidden in answer.text]
        if shown:
            yield CaseFailure(case, answer.text, f"without {', '.join(map(repr, shown))}")
        if case.leaves is not None and answer.text != case.leaves:
            yield CaseFailure(case, answer.text, case.leaves)


def parse_cases(text: str) -> list[Case]:
    """The cases of a table in TOML. Raises CasesError."""
    try:
        content = parse_toml(text)
    except TomlTextError as error:
        raise CasesError([str(error)]) from None
    entries = content.get("case")
    if not isinstance(entries, list) or not entries or set(content) != {"case"}:
        raise CasesError(["the file must hold [[case]] tables and nothing else"])
    problems: list[str] = []
    cases = [case for number, entry in enumerate(entries, 1) if (case := _parsed(number, entry, problems)) is not None]
    if problems:
        raise CasesError(problems)
    return cases


def _parsed(number: int, entry: Any, problems: list[str]) -> Case | None:
    """One case; adds what is wrong with it to `problems`."""
    before = len(problems)
    if not isinstance(entry, dict):
        problems.append(f"case {number}: is not a table")
        return None
    strange = sorted(entry.keys() - _KEYS)
    if strange:
        problems.append(f"case {number}: {', '.join(strange)} is not known; known are {', '.join(sorted(_KEYS))}")
    named = [question for question in QUESTIONS if question in entry]
    if len(named) != 1 or not isinstance(entry[named[0]], str):
        problems.append(f"case {number}: must have one text under {', '.join(QUESTIONS)}")
        return None
    hides = entry.get("hides", [])
    if not isinstance(hides, list) or not all(isinstance(hidden, str) and hidden for hidden in hides):
        problems.append(f"case {number}: hides must be a list of texts")
    leaves = entry.get("leaves", None if hides else entry[named[0]])
    for key, value, kind in (
        ("leaves", leaves if leaves is not None else "", str),
        ("binary", entry.get("binary", ""), str),
        ("title", entry.get("title", ""), str),
        ("truncated", entry.get("truncated", False), bool),
    ):
        if not isinstance(value, kind):
            problems.append(f"case {number}: {key} must be a {kind.__name__}")
    if len(problems) > before:
        return None
    return Case(
        title=entry.get("title") or f"case {number}",
        question=named[0],
        text=entry[named[0]],
        binary=entry.get("binary", ""),
        truncated=entry.get("truncated", False),
        leaves=leaves,
        hides=tuple(hides),
    )
