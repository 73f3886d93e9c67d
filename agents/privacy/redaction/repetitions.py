"""The same secret a second time in one text: `mysql -phunter2hunter2 db # hunter2hunter2`.

What a rule took as a secret goes wherever else it stands, if it is long enough and no ordinary word, number or place.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from agents.privacy.matching.masks import REDACTED, Mask, merged
from agents.privacy.redaction.answers import REPEATED
from agents.privacy.rules.values import is_place, looks_secret_word

_SHORTEST: Final = 8
"""Shorter secrets are parts of other words too often."""

_LONGEST: Final = 256
_MAX_VALUES: Final = 8
_MAX_REPETITIONS: Final = 32
_SPARED: Final = frozenset({"mapping", "address", "intricate", "private-key"})


def values_of(text: str, masks: Iterable[Mask]) -> list[str]:
    """Secrets under `masks` that could stand elsewhere."""
    found = dict.fromkeys(
        text[mask.start : mask.end]
        for mask in merged(masks)
        if mask.replacement == REDACTED and _SHORTEST <= mask.end - mask.start <= _LONGEST and mask.rule not in _SPARED
    )
    return [value for value in found if _is_secret(value)][:_MAX_VALUES]


def repetitions(text: str, masks: Iterable[Mask], values: Iterable[str]) -> Iterator[Mask]:
    """Masks over `values` where no other mask is."""
    covered = [(mask.start, mask.end) for mask in merged(masks)]
    left = _MAX_REPETITIONS
    for value in values:
        start = text.find(value)
        while start >= 0 and left:
            end = start + len(value)
            left -= 1
            if not any(begin < end and start < stop for begin, stop in covered):
                yield Mask(start, end, REDACTED, REPEATED)
            start = text.find(value, end)


def _is_secret(value: str) -> bool:
    """Whether `value` is not an ordinary word, number or place."""
    if is_place(value) or "[redacted" in value or "[credential" in value or value.count("/") > 1:
        return False
    return looks_secret_word(value) or (" " in value and any(map(str.isdigit, value)))
