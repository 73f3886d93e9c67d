"""The redaction engine: strings in, strings without secrets out, with counts by rule.

A text is read as its shadow (shadow.py). The gate says which rules can find anything in it (gate.py), the scanners of
those rules say where (scanner_table.py), and the masks are cut into the original once (masks.py). The result is looked
at again until no rule finds more, so redacting twice equals redacting once for every text.

No text raises an exception. A text that cannot be finished is refused with a reason; one that is too intricate to
finish cheaply is masked whole. Results are remembered by string, up to a bound.
"""

import ipaddress
from collections.abc import Callable
from functools import partial
from typing import Final

from agents.memo import Memo
from agents.privacy.matching.gate import Gate
from agents.privacy.matching.masks import REDACTED, Mask, spliced
from agents.privacy.matching.scan import Scan
from agents.privacy.pseudonyms import NameDomain, Pseudonyms
from agents.privacy.redaction import scanner_table
from agents.privacy.redaction.answers import Cleared, Hits, TextAnswer, TextRefusal, merged_hits
from agents.privacy.redaction.choices import RedactionChoices, Treatment
from agents.privacy.redaction.escapes import ENCODED_GATE, ESCAPE_GATE, decoded_words, unescaped
from agents.privacy.redaction.repetitions import repetitions, values_of
from agents.privacy.redaction.scanner_table import GatedScanner, TextContext
from agents.privacy.redaction.shadow import shadow_of
from agents.privacy.rules import command_lines, paths
from agents.privacy.rules.program_names import basename
from agents.privacy.rules.program_table import program_table

_REMEMBERED: Final = 16_384
"""Results by string; two generations of some 500 bytes each stay near 16 MiB, and a node runs fewer distinct
commands."""

_MAX_REMEMBERED_TEXT: Final = 2048
"""Longer texts are computed each time: a few thousand of them would cost more memory than all the others together."""

_SMALL: Final = 192
"""Bytes of a remembered command line besides its characters."""

_MAX_PASSES: Final = 4
INTRICATE: Final = "intricate"
"""The rule that masks a whole text because the budget for looking at it was spent."""

_LONGEST_ADDRESS: Final = 64  # an IPv6 address has 39 characters, before its zone

USER: Final = "[user]"
_NOBODY: Final = frozenset({"root", "nobody"})  # names of accounts, not of persons


_CLOSED: Final = [0]  # the gate's answer when only its sentinel matches: a plain text with nothing in it

_cleared: Final[Callable[[tuple[str, Hits, tuple[str, ...]]], Cleared]] = partial(tuple.__new__, Cleared)
"""Makes a `Cleared` of a tuple of its fields, as `Cleared._make` does.

Nine of ten texts leave as they are, and `Cleared(text, hits)` costs twice as much: it goes through a Python function
that packs the arguments into the same tuple first.
"""

_Found = list[Mask] | Cleared | TextRefusal
"""Masks to apply; or an answer, if looking further cannot change it."""

_TEXT: Final = TextContext("")
_PATH: Final = TextContext("", is_path=True)
_SYMBOL: Final = TextContext("", is_path=True, is_symbol=True)
_SPELLED: Final = frozenset(
    {"assignment", "option", "header", "url-password", "token", "webhook", "program", "home", "credential-path"}
)
"""Rules that hold in another spelling, too; the others read words, which escapes make where there are none."""

_OF_SYMBOLS: Final = frozenset({"token", "private-key", "webhook", "home", "assignment", "url-password", "mapping"})
"""Rules that may cut a name of a function: what no compiler makes."""


class RedactionEngine:
    """The `redaction.Redactor` of one set of rules; pure but for its memory, which changes only speed.

    Raises PatternError if a custom pattern does not compile.
    """

    def __init__(self, choices: RedactionChoices, pseudonyms: Pseudonyms | None = None) -> None:
        self._max_text_bytes = choices.max_text_bytes
        self._pseudonyms = pseudonyms
        self._users = choices.users
        self._owner = None if choices.homes is Treatment.KEEP else self._owner_of(choices.homes)
        self._programs = command_lines.ProgramRules(program_table())
        self._walk_named, self._walk = scanner_table.program_scanners(self._programs)
        spelled = (GatedScanner(ESCAPE_GATE, self._escaped), GatedScanner(ENCODED_GATE, self._encoded))
        table = [
            _SHADOWED,
            self._walk_named,
            *spelled,
            *scanner_table.built_in(self._owner),
            *scanner_table.of_policy(choices),
        ]
        self._matching = Gate([called.gate for called in table]).matching
        self._scanners = [_nothing, *(called.scanner for called in table)]
        self._surely = [None, *(called.surely for called in table)]
        self._contexts = Memo(self._context_of, _REMEMBERED)
        self.forget()

    def forget(self) -> None:
        """Forget every result; what comes next is looked at as if for the first time."""
        self._arguments = Memo(self._compute_arguments, _REMEMBERED, weigh=_weight)
        self._addresses = Memo(_computed_address, _REMEMBERED)
        self._paths = Memo(self._compute_path, _REMEMBERED)
        self._symbols = Memo(self._compute_symbol, _REMEMBERED)
        self._texts = Memo(self._compute_text, _REMEMBERED)

    def arguments(self, binary: str, text: str, *, truncated: bool = False) -> TextAnswer:
        """The argument string of `binary` as Tetragon joins it; `truncated` if the agent cut it off."""
        if len(text) > _MAX_REMEMBERED_TEXT:
            return self._compute_arguments((binary, text, truncated))
        return self._arguments[binary, text, truncated]

    def text(self, text: str) -> TextAnswer:
        """Free text: a message, a tag, a string argument of a call."""
        return self._texts[text] if len(text) <= _MAX_REMEMBERED_TEXT else self._compute_text(text)

    def path(self, text: str) -> TextAnswer:
        """One path, whose names may hold spaces."""
        return self._paths[text] if len(text) <= _MAX_REMEMBERED_TEXT else self._compute_path(text)

    def buffer(self, content: bytes) -> TextAnswer:
        """Bytes of a user buffer, read as text up to trailing zeros; bytes that are not UTF-8 become U+FFFD."""
        if len(content) > self._max_text_bytes:
            return TextRefusal.TOO_LONG
        return self.text(content.rstrip(b"\0").decode("utf-8", "replace"))

    def user(self, name: str) -> TextAnswer:
        """The name of a user: kept, masked, or a pseudonym, as the policy says."""
        if not name or name in _NOBODY or self._users is Treatment.KEEP:
            return Cleared(name, ())
        if _is_masked_user(name):
            return Cleared(name, ())
        if self._users is Treatment.PSEUDONYM and self._pseudonyms is not None:
            return Cleared(self._pseudonyms.of(NameDomain.USER, name), (("user", 1),))
        return Cleared(USER, (("user", 1),))

    def name(self, text: str) -> TextAnswer:
        """The name of a pod, an image, a policy, a node: people choose it, so it is treated as free text."""
        return self._texts[text] if len(text) <= _MAX_REMEMBERED_TEXT else self._compute_text(text)

    def symbol(self, text: str) -> TextAnswer:
        """The name of a function; without the rules that read words, because demangled names have spaces."""
        return self._symbols[text] if len(text) <= _MAX_REMEMBERED_TEXT else self._compute_symbol(text)

    def system_word(self, text: str) -> TextAnswer:
        """Words of the kernel's or the agent's vocabulary. Newer ones may appear, so they are treated as free text."""
        return self._texts[text] if len(text) <= _MAX_REMEMBERED_TEXT else self._compute_text(text)

    def address(self, text: str) -> TextAnswer:
        """An IP address, perhaps with a zone; anything else in its place is masked."""
        return self._addresses[text] if len(text) <= _LONGEST_ADDRESS else Cleared(REDACTED, (("address", 1),))

    def _owner_of(self, treatment: Treatment) -> Callable[[str], str]:
        pseudonyms = self._pseudonyms
        if treatment is Treatment.PSEUDONYM and pseudonyms is not None:
            return lambda name: "~" + pseudonyms.of(NameDomain.HOME, name)
        return lambda _: "~"

    def _context_of(self, binary: str) -> TextContext:
        name = basename(binary)
        return TextContext(name, self._programs.trigger(name))

    def _compute_arguments(self, key: tuple[str, str, bool]) -> TextAnswer:
        binary, text, truncated = key
        context = self._contexts[binary]
        return self._computed(text, context._replace(truncated=True) if truncated else context)

    def _compute_text(self, text: str) -> TextAnswer:
        return self._computed(text, _TEXT)

    def _compute_path(self, text: str) -> TextAnswer:
        answer = self._computed(text, _PATH)
        if isinstance(answer, Cleared) and not paths.is_mapping_or_path(answer.text):
            return Cleared(REDACTED, (("mapping", 1),))
        return answer

    def _compute_symbol(self, text: str) -> TextAnswer:
        answer = self._computed(text, _SYMBOL)
        if isinstance(answer, Cleared) and not paths.is_mapping_or_path(answer.text):
            return Cleared(REDACTED, (("mapping", 1),))
        return answer

    def _computed(self, text: str, context: TextContext) -> TextAnswer:
        try:
            encoded = text.encode()
        except UnicodeEncodeError:  # surrogates
            return self._settled(text, context)
        if len(encoded) > self._max_text_bytes:
            return TextRefusal.TOO_LONG
        numbers = self._matching(encoded)
        is_triggered = None
        if numbers == _CLOSED:
            trigger = context.trigger
            is_triggered = trigger is not None and trigger.search(encoded) is not None
            if not is_triggered and not context.truncated:
                return _cleared((text, (), ()))
        elif not (text.isascii() and text.isprintable()):
            return self._settled(text, context)
        found = self._pass(text, encoded, numbers, context, is_triggered=is_triggered)
        return self._settled(text, context, found) if found else _cleared((text, (), ()))

    def _settled(self, text: str, context: TextContext, found: _Found | None = None) -> TextAnswer:
        """`text` after as many passes as it takes until a pass finds nothing; `found` is what the first one did."""
        if found is None and len(text.encode("utf-8", "replace")) > self._max_text_bytes:
            return TextRefusal.TOO_LONG
        total: Hits = ()
        taken: dict[str, None] = {}
        for _ in range(_MAX_PASSES):
            if found is None:
                found = self._looked_at(text, context)
            if not isinstance(found, list):
                return found
            if not found:
                return _cleared((text, total, tuple(sorted(taken))))
            taken |= dict.fromkeys(values_of(text, found))
            result = spliced(text, [*found, *repetitions(text, found, taken)] if taken else found)
            if not result.hits:
                return _cleared((text, total, tuple(sorted(taken))))
            text, total, found = result.text, merged_hits((total, result.hits)), None
        return Cleared(REDACTED, ((INTRICATE, 1),))

    def _looked_at(self, text: str, context: TextContext) -> _Found:
        """What one look at any text finds; several zeros in it vanish, and they end lines: protocols have both."""
        found = self._found_in(text, context)
        if text.count("\0") < 2 or not isinstance(found, list):
            return found
        in_lines = self._found_in(text.replace("\0", "\n"), context)
        return [*found, *in_lines] if isinstance(in_lines, list) else in_lines

    def _found_in(self, text: str, context: TextContext) -> _Found:
        if text.isascii() and text.isprintable():
            encoded = text.encode()
            return self._pass(text, encoded, self._matching(encoded), context)
        shadow = shadow_of(text)
        if shadow is None:
            return TextRefusal.INVALID_TEXT
        plain = shadow.plain
        if shadow.is_lossy and not plain:
            return Cleared(REDACTED, ((INTRICATE, 1),))
        encoded = plain.encode()
        found = self._pass(plain, encoded, self._matching(encoded), context)
        if not isinstance(found, list):
            return found
        if found and (shadow.is_lossy or found[0].rule is INTRICATE):
            return [Mask(0, len(text), REDACTED, INTRICATE)]
        return [Mask(*shadow.original(start, end), replacement, rule) for start, end, replacement, rule in found]

    def _escaped(self, scan: Scan, context: TextContext) -> list[Mask]:
        """Masks over what would be redacted if escapes were the characters that they stand for."""
        shadow = None if context.is_spelled else unescaped(scan.text)
        if shadow is None:
            return []
        found = self._spelled(shadow.plain, context, scan)
        return [Mask(*shadow.original(start, end), replacement, rule) for start, end, replacement, rule in found]

    def _encoded(self, scan: Scan, context: TextContext) -> list[Mask]:
        """Masks over words that would be redacted if they were decoded."""
        if context.is_spelled or context.is_path:
            return []
        return [
            Mask(word.start, word.end, REDACTED, "encoded")
            for word in decoded_words(scan.text)
            if word.is_login or self._spelled(word.plain, context, scan)
        ]

    def _spelled(self, plain: str, context: TextContext, scan: Scan) -> list[Mask]:
        """What a look at a text in another spelling finds of secrets that have a name or a form."""
        encoded = plain.encode()
        found = self._pass(plain, encoded, self._matching(encoded), context._replace(is_spelled=True))
        if not isinstance(found, list) or (found and found[0].rule is INTRICATE):
            scan.give_up()
            return []
        return [mask for mask in found if mask.rule in _SPELLED]

    def _pass(
        self,
        plain: str,
        encoded: bytes,
        numbers: list[int],
        context: TextContext,
        *,
        is_triggered: bool | None = None,
    ) -> list[Mask] | TextRefusal:
        """What one look at a plain text finds, for which the gate answered `numbers`.

        `is_triggered` says whether the trigger of the context is in the text, None if nobody has looked.
        """
        if 0 not in numbers:
            return TextRefusal.ENGINE_FAILURE
        scanners_of, surely_of = self._scanners, self._surely
        called = {  # one may be called for by several patterns
            scanners_of[number]: None
            for number in numbers
            if (surely := surely_of[number]) is None or surely.search(encoded) is not None
        }
        del called[_nothing]
        if is_triggered is None:
            is_triggered = context.trigger is not None and context.trigger.search(encoded) is not None
        if is_triggered:
            called.pop(self._walk_named.scanner, None)
            called[self._walk] = None
        if context.truncated:
            called |= _OF_TRUNCATED
        found: list[Mask] = []
        if not called:
            return found
        scan = Scan(plain, encoded)
        for scanner in called:
            found += scanner(scan, context)
            if scan.exhausted:
                return [Mask(0, len(plain), REDACTED, INTRICATE)]
        return [mask for mask in found if mask.rule in _OF_SYMBOLS] if context.is_symbol else found


def _weight(key: tuple[str, str, bool]) -> int:
    """Bytes of a remembered command line, about; a look at each item, as for any key, costs as much as the gate."""
    return len(key[0]) + len(key[1]) + _SMALL


def _nothing(_scan: Scan, _context: TextContext) -> list[Mask]:
    """What the gate's sentinel calls for."""
    return []


_OF_TRUNCATED: Final = dict.fromkeys(scanner_table.OF_TRUNCATED)

_SHADOWED: Final = GatedScanner(r"[^\x20-\x7e]", _nothing)
"""Opens the gate to any text that is looked at by its shadow; of a text in UTF-8, to any that is not plain."""


def _computed_address(text: str) -> TextAnswer:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return Cleared(text, ()) if text in {"", REDACTED} else Cleared(REDACTED, (("address", 1),))
    return Cleared(text, ())


def _is_masked_user(name: str) -> bool:
    return name == USER or (name.startswith("[user:") and name.endswith("]"))
