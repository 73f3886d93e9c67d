"""Masks: the private parts that rules found in a text, merged and cut into it in one pass.

Rules never edit a text. Each says from where to where, what to put there and in the name of which rule. Overlapping
masks become one, and the strongest replacement wins. So no rule can undo another's work, and none sees another's
output.
"""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final, NamedTuple

REDACTED: Final = "[redacted]"
CREDENTIAL: Final = "[credential]"

_STRENGTH: Final = {REDACTED: 2, CREDENTIAL: 1}  # everything else (`~`, a pseudonym) is 0

_OPEN_MASKS: Final = (REDACTED[:-1], CREDENTIAL[:-1])  # a rule whose values end before `]` finds a mask without it


class Mask(NamedTuple):
    """`text[start:end]` becomes `replacement`, counted under `rule`."""

    start: int
    end: int
    replacement: str
    rule: str


class Spliced(NamedTuple):
    """A text after redaction, with the counts by rule in the order of rule names."""

    text: str
    hits: tuple[tuple[str, int], ...]


def merged(masks: Iterable[Mask]) -> list[Mask]:
    """Masks in order, overlapping ones joined: the strongest replacement, and of equals the one that starts first."""
    found = sorted(masks)
    if len(found) < 2:
        return found
    result: list[Mask] = []
    for mask in found:
        if result and mask.start < result[-1].end:
            last = result[-1]
            stronger = _STRENGTH.get(mask.replacement, 0) > _STRENGTH.get(last.replacement, 0)
            replacement, rule = (mask.replacement, mask.rule) if stronger else (last.replacement, last.rule)
            result[-1] = Mask(last.start, max(last.end, mask.end), replacement, rule)
        else:
            result.append(mask)
    return result


def _without_users(text: str, masks: Iterable[Mask]) -> Iterable[Mask]:
    """Masks without those that cover a user's name or a kind beside what another rule knows to be the secret."""
    found = sorted(masks)
    if len(found) < 2:
        return found
    kept: list[Mask] = []
    for index, wide in enumerate(found):
        if wide.replacement == REDACTED and index + 1 < len(found) and found[index + 1].start < wide.end:
            inside = islice(found, index + 1, index + 1 + _MOST_INSIDE)
            if any(_is_told_by(text, wide, exact) for exact in inside):
                continue
        kept.append(wide)
    return kept


_MOST_INSIDE: Final = 4
"""Masks that begin inside another one and are looked at."""


def _is_told_by(text: str, wide: Mask, exact: Mask) -> bool:
    """Whether `exact` is the secret inside of `wide`, with nothing but `user%`, `aes:` or a quote around it."""
    if exact.rule not in _EXACT or not wide.start < exact.start < exact.end <= wide.end:
        return False
    return _TOLD.fullmatch(text, wide.start, exact.start) is not None and not text[exact.end : wide.end].strip("\"'")


_EXACT: Final = frozenset({"shape", "program", "text-form"})
"""Rules that say where in a word the secret begins."""

_TOLD: Final = re.compile(r"[A-Za-z][\w.\-]{0,31}[:%=]|x'")

EXAMPLES: Final = {"_TOLD": ("ann:", "ann")}
"""By pattern: a line that it matches, and a similar one that it passes over."""


def spliced(text: str, masks: Iterable[Mask]) -> Spliced:
    """`text` with its masks applied; a part that already reads as its replacement is not counted."""
    parts: list[str] = []
    counts: dict[str, int] = {}
    position = 0
    for start, stop, replacement, rule in merged(_without_users(text, masks)):
        end = stop + text.startswith("]", stop) if text[start:stop] in _OPEN_MASKS else stop
        if text[start:end] == replacement:
            continue
        parts += (text[position:start], replacement)
        position = end
        counts[rule] = counts.get(rule, 0) + 1
    parts.append(text[position:])
    return Spliced("".join(parts), tuple(sorted(counts.items())))
