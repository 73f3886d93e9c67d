"""The second opinion: looks for private data in what left, by other means than the filter's.

It shares nothing with the filter. It knows forms of its own and is sure of each, because a finding means an alarm; it
judges words by how they look (audit/word_looks.py), and it compares the texts of many records (audit/topic_words.py). A
finding names the field and the rule, never the value. Texts are cut into pieces first, so that no pattern meets a long
one, and what a text says is remembered, because most texts of a topic come back.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from agents.memo import Memo
from agents.privacy.audit.needles import Needles
from agents.privacy.audit.sure_forms import sure_rules
from agents.privacy.audit.text_words import TextWords, words_of_name, words_of_text
from agents.privacy.audit.topic_words import TopicWords, WordPlace

_PIECE: Final = 4096
_OVERLAP: Final = 256  # longer than what any pattern here needs to see at once

_REMEMBERED: Final = 32_768
_MAX_NAMES: Final = 4_096
"""Names of fields that say nothing; a record has about a hundred."""

_MAX_REMEMBERED_TEXT: Final = 4_096

_CHOSEN_BY_MACHINES: Final = (
    "symbol", "symbol_hint", "module", "_id", "image_name", "pod_name", "binary", "cwd", "source_file", "key",
    "container_name", "namespace", "workload", "node_name", "flags", "probe_type", "timestamp_source",
)  # fmt: skip
"""Ends of the names of fields that hold names of code, of files and of things that a machine named."""

_NUMBERS: Final = frozenset(
    {"int", "uint", "long", "size", "syscall_id", "address", "sock", "skb", "sockaddr", "module"}
)
"""Kinds of argument whose value is not text."""


class _Telling(NamedTuple):
    """A text that says something: its field, the program that it is of, and what it says."""

    field: str
    program: str
    words: TextWords


@dataclass(frozen=True, slots=True)
class PrivacyFinding:
    """Something that should not have left: the field it is in (a dotted path, or `key`) and the rule that saw it."""

    field: str
    rule: str


class Verifier:
    """Looks at records. `needles` are secrets that are known to exist, looked for in many encodings.

    `topic` collects what is to be compared, once all records have been looked at.
    """

    def __init__(self, needles: Iterable[str] = ()) -> None:
        self.topic = TopicWords()
        self._needles = Needles(needles)
        self._names: set[str] = set()
        self._free = Memo(_is_free, _REMEMBERED)
        self._known: Memo[tuple[str, str, bool], TextWords] = Memo(self._looked_at, _REMEMBERED)

    def findings(self, record: Any, field: str = "", partition: int = 0, offset: int = 0) -> Iterator[PrivacyFinding]:
        """Findings in a decoded record by itself: dictionaries, lists, texts and bytes, however nested."""
        for path, program, words in self._telling(record, field, field):
            place = WordPlace(partition, offset, path, program)
            self.topic.note(words, place)
            yield from (PrivacyFinding(path, rule) for rule in words.rules)

    def compared(self) -> Iterator[tuple[WordPlace, PrivacyFinding]]:
        """Findings that follow from all records together, with the place of each."""
        return ((place, PrivacyFinding(place.field, rule)) for place, rule in self.topic.findings())

    def _telling(self, value: Any, name: str, program: str) -> list[_Telling]:
        """Texts of a value that say something, with their fields below `name` and their programs.

        Most say nothing and come back in record after record, so paths are made for the few that do.
        """
        match value:
            case str():
                words = self._words(value, name, program)
                return [_Telling(name, program, words)] if words.is_telling else []
            case bytes():
                return self._telling(value.decode("utf-8", "replace"), name, program)
            case dict():
                return self._telling_fields(value, name, program)
            case list() | tuple():
                found = ((index, self._telling(one, name, program)) for index, one in enumerate(value))
                return [
                    one._replace(field=f"{name}[{index}]{one.field[len(name) :]}")
                    for index, many in found
                    for one in many
                ]
            case _:
                return []

    def _telling_fields(self, record: dict[str, Any], name: str, program: str) -> list[_Telling]:
        program = _program_of(record) or _program_of(record.get("process")) or program
        is_number = record.get("type") in _NUMBERS
        telling: list[_Telling] = []
        for inner, value in record.items():
            if inner not in self._names:
                telling += self._telling_name(inner, program)
            if value and value is not True and not (is_number and inner == "value"):
                telling += self._telling(value, inner, program)
        return [one._replace(field=f"{name}.{one.field}") for one in telling] if name else telling

    def _telling_name(self, name: str, program: str) -> list[_Telling]:
        """A name of a field, which in a map is a text like any other."""
        words = self._looked_at((name, program, False))
        if not words.is_telling and len(self._names) < _MAX_NAMES:
            self._names.add(name)
        return [_Telling("(name)", program, words)] if words.is_telling else []

    def _words(self, text: str, name: str, program: str) -> TextWords:
        is_free = self._free[name]
        if len(text) > _MAX_REMEMBERED_TEXT:
            words = self._looked_at((text, program, is_free))
        else:
            words = self._known[text, program if is_free else "", is_free]
        self.topic.learn(words)
        return words

    def _looked_at(self, key: tuple[str, str, bool]) -> TextWords:
        text, program, is_free = key
        rules = set[str]()
        words = TextWords()
        for start in range(0, max(len(text), 1), _PIECE):
            piece = text[start : start + _PIECE + _OVERLAP]
            rules.update(sure_rules(piece, is_free=is_free))
            if self._needles.stand_in(piece):
                rules.add("needle")
            words = _joined(words, words_of_text(piece, program) if is_free else words_of_name(piece))
        return words._replace(rules=tuple(sorted({*rules, *words.rules})))


def _is_free(name: str) -> bool:
    """Whether people or programs write the texts of a field."""
    return not name.endswith(_CHOSEN_BY_MACHINES)


def _joined(first: TextWords, second: TextWords) -> TextWords:
    return TextWords(
        first.rules + second.rules,
        first.masked_slots + second.masked_slots,
        first.open_words + second.open_words,
        first.phrases + second.phrases,
        first.vocabulary | second.vocabulary,
        second.digest,
        first.recurring + second.recurring,
        first.names + second.names,
    )


def _program_of(record: Any) -> str:
    """The base name of a process's program."""
    binary = record.get("binary") if isinstance(record, dict) else None
    return binary.rpartition("/")[2] if isinstance(binary, str) else ""
