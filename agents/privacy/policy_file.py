"""Policies as TOML: reading one, and saying what is wrong with it by line and rule.

    schema = 1
    name = "..."
    [fields]                 allow = [fields of every kind of event]
    [fields.Kprobe]          allow = [and these], deny = [but not these]
    [people]                 users, homes = "mask" | "pseudonym" | "keep"
    [pseudonyms]             epoch = "..."
    [secrets]                names = [...], emails = true | false
    [[secrets.patterns]]     rule = "...", pattern = 'RE2 with a group'
    [paths]                  credentials = ['RE2 with a group']
    [limits]                 max_text_bytes = 65_536

All errors are reported at once. A key that is not in this schema is an error, because a misspelled rule would silently
not apply. A pattern without a group would redact nothing and is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from agents.privacy.matching.gate import PatternError
from agents.privacy.matching.scan import grouped
from agents.privacy.policy import FIELDS, Policy
from agents.privacy.redaction.choices import CustomPattern, RedactionChoices, Treatment
from agents.toml_text import TomlTextError, parse_toml
from schemas.probe_types import PROBE_TYPES

BUILT_IN: Final = ("default", "strict", "open")
"""Names of the packaged policies."""

SCHEMA: Final = 1

MIN_NAME_LETTERS: Final = 3

MAX_PROBLEMS: Final = 50
"""More do not help a person; the line of each is searched in the whole text."""

MAX_ENTRIES: Final = 1_000
"""Of a list: every text that leaves is searched for all names, patterns and paths."""

MAX_PATTERN_CHARS: Final = 1_000
"""Of one name, pattern or path; RE2 takes memory that grows with it."""

MIN_TEXT_BYTES: Final = 1024
MAX_TEXT_BYTES: Final = 1 << 20  # what the canonicalize stage refuses anyway

_RESERVED_RULES: Final = frozenset({"home", "user", "token", "intricate", "denied_field"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One error: its line (from 1; 0 if it has no line), the rule as a dotted path, and what is wrong."""

    line: int
    rule: str
    matter: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.rule}: {self.matter}" if self.line else f"{self.rule}: {self.matter}"


class PolicyError(Exception):
    """A policy does not compile; `problems` has all of its errors."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def built_in_text(name: str) -> str:
    """The TOML of a packaged policy."""
    return files("agents.privacy").joinpath("policies", f"{name}.toml").read_text(encoding="utf-8")


def built_in_policy(name: str) -> Policy:
    """A packaged policy."""
    return parse_policy(built_in_text(name))


def parse_policy(text: str) -> Policy:
    """The policy that `text` describes. Raises PolicyError."""
    try:
        content = parse_toml(text)
    except TomlTextError as error:
        raise PolicyError([Problem(_line_of(str(error)), "TOML", str(error))]) from None
    reader = _Reader(text)
    policy = reader.policy(content)
    if reader.problems:
        raise PolicyError(sorted(reader.problems, key=lambda problem: problem.line))
    return policy


def _line_of(message: str) -> int:
    """The line that tomllib's message names."""
    _, found, rest = message.partition("(at line ")
    digits = rest.partition(",")[0]
    return int(digits) if found and digits.isdigit() else 0


def _cut(text: str) -> str:
    return text if len(text) <= MAX_PATTERN_CHARS else text[:MAX_PATTERN_CHARS] + "…"


class _Reader:
    """Reads one document and collects its errors."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self.problems: list[Problem] = []

    def policy(self, content: dict[str, Any]) -> Policy:
        self._known("", content, {"schema", "name", "fields", "people", "pseudonyms", "secrets", "paths", "limits"})
        if content.get("schema") != SCHEMA:
            self._wrong("schema", f"is {content.get('schema')!r}; this program reads schema {SCHEMA}")
        name = self._typed(content, "", "name", str, "")
        if not name:
            self._wrong("name", "is missing: a policy has a name")
        return Policy(name=name, allowed=self._fields(content), choices=self._choices(content))

    def _fields(self, content: dict[str, Any]) -> tuple[tuple[str, frozenset[str]], ...]:
        table = self._table(content, "fields", {"allow", *PROBE_TYPES})
        common = self._field_names(table, "fields", "allow")
        if not common:
            self._wrong("fields.allow", "is missing or empty: nothing would leave")
        allowed = []
        for probe_type in PROBE_TYPES:
            path = f"fields.{probe_type}"
            kind = table.get(probe_type, {})
            if not isinstance(kind, dict):
                self._wrong(path, "is not a table")
                continue
            self._known(path, kind, {"allow", "deny"})
            more, less = self._field_names(kind, path, "allow"), self._field_names(kind, path, "deny")
            allowed.append((probe_type, frozenset((common | more) - less)))
        return tuple(allowed)

    def _field_names(self, table: dict[str, Any], path: str, key: str) -> set[str]:
        names = set(self._texts(table, path, key))
        for name in sorted(names - FIELDS):
            self._wrong(f"{path}.{key}", f"{name!r} is not a field of a call that a policy decides about", name)
        return names & FIELDS

    def _choices(self, content: dict[str, Any]) -> RedactionChoices:
        people = self._table(content, "people", {"users", "homes"})
        secrets = self._table(content, "secrets", {"names", "emails", "patterns"})
        pseudonyms = self._table(content, "pseudonyms", {"epoch"})
        limits = self._table(content, "limits", {"max_text_bytes"})
        paths = self._table(content, "paths", {"credentials"})
        epoch = self._typed(pseudonyms, "pseudonyms", "epoch", str, "1")
        if not epoch.isalnum() or not epoch.isascii() or len(epoch) > 16:
            self._wrong("pseudonyms.epoch", "must be 1 to 16 ASCII letters and digits")
        limit = self._typed(limits, "limits", "max_text_bytes", int, RedactionChoices().max_text_bytes)
        if not MIN_TEXT_BYTES <= limit <= MAX_TEXT_BYTES:
            self._wrong("limits.max_text_bytes", f"is {limit}, which is not from {MIN_TEXT_BYTES} to {MAX_TEXT_BYTES}")
        return RedactionChoices(
            homes=self._treatment(people, "homes"),
            users=self._treatment(people, "users"),
            epoch=epoch,
            emails=self._typed(secrets, "secrets", "emails", bool, False),
            names=tuple(self._names(secrets)),
            patterns=tuple(self._patterns(secrets)),
            credential_paths=tuple(
                pattern
                for pattern in self._texts(paths, "paths", "credentials")
                if self._compiles("paths.credentials", pattern)
            ),
            max_text_bytes=limit,
        )

    def _treatment(self, people: dict[str, Any], key: str) -> Treatment:
        word = self._typed(people, "people", key, str, Treatment.MASK.value)
        if word not in set(Treatment):
            self._wrong(f"people.{key}", f"is {word!r}, which is not one of {', '.join(Treatment)}")
            return Treatment.MASK
        return Treatment(word)

    def _names(self, secrets: dict[str, Any]) -> Iterable[str]:
        for name in self._texts(secrets, "secrets", "names"):
            known = name.isascii() and all(c.isalnum() or c in "-_. *" for c in name)
            if not known or sum(map(str.isalnum, name)) < MIN_NAME_LETTERS:
                self._wrong(
                    "secrets.names",
                    f"{name!r} must be 3 or more letters or digits, with '-', '_', '.', ' ' or '*'",
                    name,
                )
            else:
                yield name

    def _patterns(self, secrets: dict[str, Any]) -> Iterable[CustomPattern]:
        entries = secrets.get("patterns", [])
        if not isinstance(entries, list):
            self._wrong("secrets.patterns", "is not an array of tables")
            return
        if not self._fits(
            "secrets.patterns", [str(entry.get("pattern")) for entry in entries if isinstance(entry, dict)]
        ):
            return
        for index, entry in enumerate(entries):
            path = f"secrets.patterns[{index}]"
            if not isinstance(entry, dict):
                self._wrong(path, "is not a table")
                continue
            self._known(path, entry, {"rule", "pattern"})
            rule, pattern = self._typed(entry, path, "rule", str, ""), self._typed(entry, path, "pattern", str, "")
            if not rule or not all(c.islower() or c.isdigit() or c == "-" for c in rule) or rule in _RESERVED_RULES:
                self._wrong(f"{path}.rule", f"is {rule!r}; a rule's name has lower-case letters, digits and '-'", rule)
            elif self._compiles(f"{path}.pattern", pattern):
                yield CustomPattern(rule, pattern)

    def _compiles(self, path: str, pattern: str) -> bool:
        """Whether `pattern` can redact something, and not everything."""
        try:
            compiled = grouped(pattern, ignore_case=True)
        except PatternError as error:
            self._wrong(path, f"does not compile: {error}", pattern)
            return False
        if compiled.capturing.groups == 0:
            self._wrong(path, "has no group (...), so it would redact nothing", pattern)
            return False
        if compiled.whole.search(b"") is not None:
            self._wrong(path, "matches the empty text, so it would redact everything and nothing", pattern)
            return False
        return True

    def _fits(self, path: str, values: list[str]) -> bool:
        """Whether there are not too many values and none is too long."""
        if len(values) > MAX_ENTRIES:
            self._wrong(path, f"has {len(values)} entries, and {MAX_ENTRIES} are the most")
            return False
        for value in values:
            if len(value) > MAX_PATTERN_CHARS:
                self._wrong(path, f"has an entry of {len(value)} characters, and {MAX_PATTERN_CHARS} are the most")
                return False
        return True

    def _table(self, content: dict[str, Any], key: str, keys: set[str]) -> dict[str, Any]:
        """A table of the document that may have `keys`; empty where it is missing or something else."""
        table = content.get(key, {})
        if not isinstance(table, dict):
            self._wrong(key, "is not a table")
            return {}
        self._known(key, table, keys)
        return table

    def _typed(self, table: dict[str, Any], path: str, key: str, kind: type, default: Any) -> Any:
        value = table.get(key, default)
        if type(value) is kind:
            return value
        self._wrong(f"{path}.{key}".lstrip("."), f"is {value!r}, which is not of type {kind.__name__}")
        return default

    def _texts(self, table: dict[str, Any], path: str, key: str) -> list[str]:
        values = table.get(key, [])
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            if self._fits(f"{path}.{key}", values):
                return values
            return []
        self._wrong(f"{path}.{key}", "is not a list of strings")
        return []

    def _known(self, path: str, table: dict[str, Any], keys: set[str]) -> None:
        for key in sorted(table.keys() - keys):
            self._wrong(f"{path}.{key}".lstrip("."), f"is not known; known here are {', '.join(sorted(keys))}")

    def _wrong(self, rule: str, matter: str, value: str = "") -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(self._line(rule, value), _cut(rule), _cut(matter)))

    def _line(self, rule: str, value: str) -> int:
        """The line that `rule` stands on, or where `value` stands behind it: the document is searched as text.

        tomllib keeps no positions. If a key is not found, the header of its table counts.
        """
        if not value and (own := self._line_of_table(rule)):
            return own
        table, _, key = rule.rpartition(".")
        header, start = 0, 0
        index = int(table[table.index("[") + 1 : -1]) if "[" in table else 0
        for number, line in enumerate(self._lines, 1):
            if line.strip().strip("[] ") == table.partition("[")[0] and line.strip().startswith("["):
                if index == 0:
                    header = start = number
                    break
                index -= 1
        for number in range(start, len(self._lines)):
            line = self._lines[number].strip()
            if table and line.startswith("["):
                break
            name, equals, _ = line.partition("=")
            if equals and name.strip().strip("\"'") == key:
                return self._line_with(value, number) if value else number + 1
        return header

    def _line_with(self, value: str, start: int) -> int:
        for number in range(start, len(self._lines)):
            if value in self._lines[number]:
                return number + 1
        return start + 1

    def _line_of_table(self, table: str) -> int:
        return next((n for n, line in enumerate(self._lines, 1) if line.strip().strip("[] ") == table), 0)
