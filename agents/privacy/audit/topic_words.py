"""What the texts of a topic say together: what none of them says alone.

- A place where the filter mostly masks, and once it did not: the same program and option, with an open value.
- A strange word that comes back in another program: credentials are shared, names of one machine's things are not.
- A code, or words with signs or a number, that three unrelated programs share and that nothing is named by.
- A phrase of ordinary words that nobody else in the topic uses: names are made of the words of a trade, phrases that
  people choose for secrets are not.

Digests are kept instead of values, and each table has a limit; what comes beyond is not compared. Two of them that saw
parts of a topic become one that saw both.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from agents.privacy.audit.recurring_forms import RecurringValue, are_unrelated
from agents.privacy.audit.text_words import TextWords

_Key = TypeVar("_Key")

_MAX_SLOTS: Final = 200_000
_MAX_WORDS: Final = 200_000
_MAX_PHRASES: Final = 20_000
_MAX_VOCABULARY: Final = 200_000
_MAX_NAMES: Final = 200_000
_MAX_PLACES: Final = 8
"""Of one value or slot: an alarm needs one, and a person who looks for more has the audit of the next day."""

_COMMON: Final = 3
"""Texts that use a word before it counts as one of the trade; the phrase itself may come back."""

_SHARING: Final = 3
"""Unrelated programs that share a value before it counts: two of them may work on the same thing."""


class WordPlace(NamedTuple):
    """Where a text stands, and the program that it is of."""

    partition: int
    offset: int
    field: str
    program: str


@dataclass(slots=True)
class TopicWords:
    """Collects what texts say; `findings` compares.

    `masked` are places where the filter masked; `open` those that hold an open word, `strange` strange words and
    `phrases` phrases, each with where they stand; `shared` has values that must recur to be secrets, and where; `names`
    those that name something; `vocabulary` counts the `texts` that use a word.
    """

    masked: set[bytes] = field(default_factory=set)
    open: dict[bytes, list[WordPlace]] = field(default_factory=dict)
    strange: dict[bytes, list[WordPlace]] = field(default_factory=dict)
    phrases: dict[tuple[str, ...], list[WordPlace]] = field(default_factory=dict)
    shared: dict[RecurringValue, list[WordPlace]] = field(default_factory=dict)
    names: set[bytes] = field(default_factory=set)
    vocabulary: Counter[str] = field(default_factory=Counter)
    texts: set[bytes] = field(default_factory=set)

    def learn(self, words: TextWords) -> None:
        """Count the words of a text for the vocabulary, and keep its names; the same text again adds nothing."""
        if words.names and len(self.names) < _MAX_NAMES:
            self.names.update(words.names)
        if words.vocabulary and words.digest not in self.texts and len(self.texts) < _MAX_VOCABULARY:
            self.texts.add(words.digest)
            self.vocabulary.update(words.vocabulary)

    def note(self, words: TextWords, place: WordPlace) -> None:
        """Note what a text says at a place."""
        if len(self.masked) < _MAX_SLOTS:
            self.masked.update(words.masked_slots)
        for word in words.open_words:
            if word.slot:
                _add(self.open, word.slot, [place], _MAX_SLOTS)
            if word.is_strange:
                _add(self.strange, word.value, [place], _MAX_WORDS)
        for value in words.recurring:
            _add(self.shared, value, [place], _MAX_WORDS)
        for phrase in words.phrases:
            _add(self.phrases, phrase, [place], _MAX_PHRASES)

    def merge(self, other: "TopicWords") -> None:
        """Add what another one noted of other records."""
        self.masked |= other.masked
        for mine, theirs in ((self.open, other.open), (self.strange, other.strange)):
            for key, places in theirs.items():
                _add(mine, key, places, _MAX_WORDS)
        for phrase, places in other.phrases.items():
            _add(self.phrases, phrase, places, _MAX_PHRASES)
        for value, places in other.shared.items():
            _add(self.shared, value, places, _MAX_WORDS)
        self.names |= other.names
        fresh = other.texts - self.texts
        if len(fresh) == len(other.texts):
            self.vocabulary += other.vocabulary
        else:  # the same texts in both parts: count each once, as nearly as sums allow
            for word, count in other.vocabulary.items():
                self.vocabulary[word] = max(self.vocabulary[word], count)
        self.texts |= other.texts

    def findings(self) -> Iterator[tuple[WordPlace, str]]:
        """Places and rules, in the order of places."""
        found = {
            *((place, "unmasked-slot") for slot in self.masked & self.open.keys() for place in self.open[slot]),
            *((place, "recurring-word") for places in self.strange.values() if _is_shared(places) for place in places),
            *(
                (place, "recurring-word")
                for value, places in self.shared.items()
                if self._is_recurring(value, places)
                for place in places
            ),
            *(
                (place, "word-phrase")
                for phrase, places in self.phrases.items()
                if all(self.vocabulary[part] < _COMMON for part in phrase)
                for place in places
            ),
        }
        yield from sorted(found)

    def _is_recurring(self, value: RecurringValue, places: list[WordPlace]) -> bool:
        """Whether unrelated programs share a value that names nothing and has no ordinary words of this topic."""
        return (
            value.value not in self.names
            and all(self.vocabulary[word] < _COMMON for word in value.words)
            and are_unrelated({place.program for place in places}, _SHARING)
        )


def _add(table: dict[_Key, list[WordPlace]], key: _Key, places: list[WordPlace], limit: int) -> None:
    """Add places to an entry: one of each program and field, up to a limit."""
    if key not in table and len(table) >= limit:
        return
    known = table.setdefault(key, [])
    for place in places:
        is_new = all((place.program, place.field) != (one.program, one.field) for one in known)
        if is_new and len(known) < _MAX_PLACES:
            known.append(place)


def _is_shared(places: list[WordPlace]) -> bool:
    """Whether a word stands in texts of two programs."""
    return len({place.program for place in places}) > 1
