"""The redaction engine: strings in, strings without secrets out, with counts by rule.

A text is looked at as its shadow (`shadow`), the gate says which rules can find anything (`gate`), the rules say where
(`assignments`, `commands`, `tokens`, `urls`, `paths`), and the spans are cut out of the original once (`spans`). The
result is looked at again until nothing more is found, so redacting twice equals redacting once for every text there
is.

Rules: data never raises; what cannot be finished is refused with a reason, and what is too intricate to finish
cheaply is masked whole. Results are remembered by string, bounded. This module refuses to know events, fields and
policy files.
"""

import ipaddress
from collections.abc import Callable
from typing import Final, NamedTuple

from agents.memo import Memo
from agents.privacy import assignments, commands, paths, tokens, urls
from agents.privacy.gate import Gate
from agents.privacy.programs import program_table
from agents.privacy.pseudonyms import Pseudonyms
from agents.privacy.redaction import Answer, Cleared, Hits, TextRefusal
from agents.privacy.rules import Rules, Treatment
from agents.privacy.scan import Scan, grouped
from agents.privacy.shadow import shadow_of
from agents.privacy.spans import CREDENTIAL, MASK, Span, spliced

_REMEMBERED: Final = 16_384
"""Results by string; two generations of some 500 bytes each stay near 16 MiB, and a node runs fewer distinct
commands."""

_MAX_REMEMBERED_TEXT: Final = 2048
"""Longer texts are computed each time: a few thousand of them would cost more memory than all the others together."""

_MAX_PASSES: Final = 4
INTRICATE: Final = "intricate"
"""The rule that masks a whole text because the budget for looking at it was spent."""

_EMAIL: Final = r"(?:\A|[\s\"'`<(=:,;])([a-z0-9._%+\-]+@[a-z0-9\-]+\.[a-z0-9.\-]+)"

_LONGEST_ADDRESS: Final = 64  # an IPv6 address has 39 characters, before its zone

USER: Final = "[user]"
_NOBODY: Final = frozenset({"root", "nobody"})  # names that name no person


# The gate's patterns of the built-in rules, and their numbers.
_GATES: Final = (
    assignments.ASSIGNED_GATE, assignments.OPTION_GATE, assignments.BARE_GATE, assignments.QUERY_GATE,
    tokens.KNOWN_FORMS_GATE, urls.URL_GATE, urls.HOST_GATE,
    paths.HOME_GATE, paths.TILDE_GATE, paths.OWNED_GATE, paths.MAPPING_GATE,
    paths.FOLDER_GATE, paths.FILE_GATE, paths.KEY_FILE_GATE,
    paths.ENVIRON_GATE,
    tokens.PEM_GATE, tokens.SCHEME_GATE, assignments.IDENTIFIED_GATE, commands.LONE_GATE,
)  # fmt: skip
(
    _ASSIGNED, _OPTION, _BARE, _QUERY,
    _TOKEN, _URL, _HOST,
    _HOME, _TILDE, _OWNED, _MAPPING, _FOLDER, _FILE, _KEY_FILE,
    _ENVIRON,
    _PEM, _SCHEME, _IDENTIFIED, _LONE,
) = range(1, len(_GATES) + 1)  # fmt: skip
_CLOSED: Final = [0]  # the gate's answer when only its sentinel matches
_PROGRAM: Final = len(_GATES) + 1
_NAMED: Final = frozenset({_ASSIGNED, _OPTION, _BARE, _QUERY})
_RARE: Final = frozenset({_PEM, _SCHEME, _IDENTIFIED, _LONE})
_SYSTEM_PATHS: Final = frozenset({_TILDE, _OWNED, _MAPPING, _ENVIRON, _FOLDER, _FILE, _KEY_FILE})


class _Reading(NamedTuple):
    """How a text is to be read: whose arguments it holds, whether it was cut off, whether it is one path."""

    program: str
    truncated: bool = False
    is_path: bool = False


_TEXT: Final = _Reading("")
_PATH: Final = _Reading("", is_path=True)


class RedactionEngine:
    """The `redaction.Redactor` of one set of rules; pure but for its memory, which changes speed and nothing else.

    Raises PatternError where a custom pattern does not compile.
    """

    def __init__(self, rules: Rules, pseudonyms: Pseudonyms | None = None) -> None:
        self._max_text_bytes = rules.max_text_bytes
        self._pseudonyms = pseudonyms
        self._users = rules.users
        self._owner = None if rules.homes is Treatment.KEEP else self._owner_of(rules.homes)
        custom = [(entry.rule, entry.pattern) for entry in rules.patterns]
        custom += [("name", assignments.custom_name_pattern(name)) for name in rules.names]
        custom += [("credential-path", pattern) for pattern in rules.credential_paths]
        if rules.emails:
            custom.append(("email", _EMAIL))
        self._programs = commands.ProgramRules(program_table())
        self._matching = Gate([*_GATES, self._programs.gate, *(pattern for _, pattern in custom)]).matching
        self._custom = {
            len(_GATES) + 2 + index: (rule, grouped(pattern, ignore_case=True))
            for index, (rule, pattern) in enumerate(custom)
        }
        self._triggers = Memo(self._programs.trigger, _REMEMBERED)
        self.forget()

    def forget(self) -> None:
        """Forget every result; what comes next is looked at as if for the first time."""
        self._arguments = Memo(self._compute_arguments, _REMEMBERED)
        self._addresses = Memo(_computed_address, _REMEMBERED)
        self._paths = Memo(self._compute_path, _REMEMBERED)
        self._texts = Memo(self._compute_text, _REMEMBERED)

    def arguments(self, binary: str, text: str, *, truncated: bool = False) -> Answer:
        """The argument string of `binary` as Tetragon joins it; `truncated` where the agent cut it off."""
        if len(text) > _MAX_REMEMBERED_TEXT:
            return self._compute_arguments((binary, text, truncated))
        return self._arguments[binary, text, truncated]

    def text(self, text: str) -> Answer:
        """Free text: a message, a tag, a string argument of a call."""
        return self._texts[text] if len(text) <= _MAX_REMEMBERED_TEXT else self._compute_text(text)

    def path(self, text: str) -> Answer:
        """One path, whose names may hold spaces."""
        return self._paths[text] if len(text) <= _MAX_REMEMBERED_TEXT else self._compute_path(text)

    def buffer(self, content: bytes) -> Answer:
        """Bytes of a user buffer, read as text up to trailing zeros; what is no UTF-8 becomes U+FFFD."""
        if len(content) > self._max_text_bytes:
            return TextRefusal.TOO_LONG
        return self.text(content.rstrip(b"\0").decode("utf-8", "replace"))

    def user(self, name: str) -> Answer:
        """The name of a user: kept, masked, or a pseudonym, as the policy says."""
        if not name or name in _NOBODY or self._users is Treatment.KEEP:
            return Cleared(name, ())
        if _is_masked_user(name):
            return Cleared(name, ())
        if self._users is Treatment.PSEUDONYM and self._pseudonyms is not None:
            return Cleared(self._pseudonyms.of("user", name), (("user", 1),))
        return Cleared(USER, (("user", 1),))

    def name(self, text: str) -> Answer:
        """A name that somebody gave to a pod, an image, a policy, a node: free text to a secret."""
        return self.text(text)

    def symbol(self, text: str) -> Answer:
        """The name of a function; without the rules that read words, because demangled names have spaces."""
        return self.path(text)

    def word(self, text: str) -> Answer:
        """Words of the kernel's or the agent's vocabulary; whatever else it is, is free text."""
        return self.text(text)

    def address(self, text: str) -> Answer:
        """An IP address, perhaps with a zone; anything else in its place is masked."""
        return self._addresses[text] if len(text) <= _LONGEST_ADDRESS else Cleared(MASK, (("address", 1),))

    def _owner_of(self, treatment: Treatment) -> Callable[[str], str]:
        pseudonyms = self._pseudonyms
        if treatment is Treatment.PSEUDONYM and pseudonyms is not None:
            return lambda name: "~" + pseudonyms.of("user", name)
        return lambda _: "~"

    def _compute_arguments(self, key: tuple[str, str, bool]) -> Answer:
        binary, text, truncated = key
        numbers = self._gate_answer(text)
        if numbers == _CLOSED and not truncated:
            trigger = self._triggers[binary]
            if trigger is None or trigger.search(text.encode("ascii")) is None:
                return Cleared(text, ())
        return self._settled(text, _Reading(commands.basename(binary), truncated=truncated), numbers)

    def _compute_text(self, text: str) -> Answer:
        numbers = self._gate_answer(text)
        return Cleared(text, ()) if numbers == _CLOSED else self._settled(text, _TEXT, numbers)

    def _compute_path(self, text: str) -> Answer:
        numbers = self._gate_answer(text)
        if numbers == _CLOSED:
            return Cleared(text, ())
        answer = self._settled(text, _PATH, numbers)
        if isinstance(answer, Cleared) and not paths.is_mapping_or_path(answer.text):
            return Cleared(MASK, (("mapping", 1),))
        return answer

    def _gate_answer(self, text: str) -> list[int] | None:
        """The gate's numbers for a text that needs no shadow; `_CLOSED` is the way out for nine texts of ten."""
        if text.isascii() and text.isprintable() and len(text) <= self._max_text_bytes:
            return self._matching(text)
        return None

    def _settled(self, text: str, reading: _Reading, numbers: list[int] | None) -> Answer:
        """`text` after as many passes as it takes until a pass finds nothing; `numbers` are the first pass's."""
        if len(text) * 4 > self._max_text_bytes and len(text.encode("utf-8", "replace")) > self._max_text_bytes:
            return TextRefusal.TOO_LONG
        total: Hits = ()
        for _ in range(_MAX_PASSES):
            outcome = self._pass(text, reading, numbers)
            if outcome is None:
                return Cleared(text, total)
            if isinstance(outcome, TextRefusal):
                return outcome
            text, numbers = outcome.text, None
            total = _added(total, outcome.hits) if total else outcome.hits
        return Cleared(MASK, ((INTRICATE, 1),))

    def _pass(self, text: str, reading: _Reading, numbers: list[int] | None) -> Answer | None:
        """`text` with what one look finds replaced; None where it finds nothing."""
        shadow = None
        plain = text
        if not (text.isascii() and text.isprintable()):
            shadow = shadow_of(text)
            if shadow is None:
                return TextRefusal.INVALID_TEXT
            plain = shadow.plain
            if shadow.is_lossy and not plain:
                return Cleared(MASK, ((INTRICATE, 1),))
        if numbers is None:
            numbers = self._matching(plain)
        if 0 not in numbers:
            return TextRefusal.ENGINE_FAILURE
        walks = not reading.is_path and (_PROGRAM in numbers or self._programs.wanted(reading.program, plain))
        if len(numbers) == 1 and not walks and not reading.truncated:
            return None
        scan = Scan(plain)
        found = self._found(scan, frozenset(numbers), reading)
        if walks:
            found += commands.program_values(scan, self._programs, reading.program)
        if scan.exhausted or (found and shadow is not None and shadow.is_lossy):
            found = [Span(0, len(text), MASK, INTRICATE)]
        elif shadow is not None:
            found = [Span(*shadow.original(start, end), replacement, rule) for start, end, replacement, rule in found]
        if not found:
            return None
        result = Cleared(*spliced(text, found))
        return result if result.hits else None

    def _found(self, scan: Scan, numbers: frozenset[int], reading: _Reading) -> list[Span]:
        """Spans of all rules that the gate's answer `numbers` calls for."""
        found: list[Span] = []
        if not numbers.isdisjoint(_NAMED):
            found += assignments.named_values(scan, reading.program)
        if _TOKEN in numbers:
            found += tokens.known_tokens(scan)
        if _URL in numbers or reading.truncated:
            found += urls.url_passwords(scan, truncated=reading.truncated)
        if _HOST in numbers:
            found += urls.host_passwords(scan)
        if _HOME in numbers and self._owner is not None:
            found += paths.homes(scan, self._owner, spaced=reading.is_path)
        if not numbers.isdisjoint(_SYSTEM_PATHS):
            found += self._system_paths(scan, numbers)
        if not numbers.isdisjoint(_RARE):
            found += self._rare(scan, numbers, reading.program)
        if reading.truncated:
            found += tokens.cut_off_tokens(scan)
        for number in self._custom.keys() & numbers:
            rule, pattern = self._custom[number]
            replacement = CREDENTIAL if rule == "credential-path" else MASK
            found += [Span(start, end, replacement, rule) for start, end in scan.groups(pattern)]
        return found

    def _system_paths(self, scan: Scan, numbers: frozenset[int]) -> list[Span]:
        """Spans of users and credentials in paths outside of plain homes."""
        found: list[Span] = []
        if self._owner is not None:
            if _TILDE in numbers:
                found += paths.tilde_homes(scan, self._owner)
            if _OWNED in numbers:
                found += paths.owned_entries(scan)
        if _MAPPING in numbers:
            found += paths.memory_files(scan)
        if _FOLDER in numbers:
            found += paths.in_credential_folders(scan)
        if _FILE in numbers:
            found += paths.credential_files(scan)
        if _KEY_FILE in numbers:
            found += paths.key_files(scan)
        if _ENVIRON in numbers:
            found += paths.environments(scan)
        return found

    def _rare(self, scan: Scan, numbers: frozenset[int], program: str) -> list[Span]:
        """Spans of the rules that one string in a thousand calls for."""
        found: list[Span] = []
        if _PEM in numbers:
            found += tokens.private_keys(scan)
        if _SCHEME in numbers:
            found += tokens.scheme_credentials(scan)
        if _IDENTIFIED in numbers:
            found += assignments.identified_values(scan)
        if _LONE in numbers:
            found += commands.lone_passwords(scan, program)
        return found


def _computed_address(text: str) -> Answer:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return Cleared(text, ()) if text in {"", MASK} else Cleared(MASK, (("address", 1),))
    return Cleared(text, ())


def _added(left: Hits, right: Hits) -> Hits:
    total = dict(left)
    for rule, count in right:
        total[rule] = total.get(rule, 0) + count
    return tuple(sorted(total.items()))


def _is_masked_user(name: str) -> bool:
    return name == USER or (name.startswith("[user:") and name.endswith("]"))
