"""What secrets look like to somebody who knows no form: random words, and the passwords that everybody uses.

Used by the verifier only, so that it has other means than the filter. Both are rare in clean texts.
"""

import math
from itertools import pairwise
from typing import Final

KNOWN_PASSWORDS: Final = frozenset(
    """
    password1 password123 passw0rd p@ssw0rd p@ssword pa55word
    qwerty qwerty123 qwertyuiop 1q2w3e4r 1q2w3e4r5t 1qaz2wsx zaq12wsx abc123 abcd1234 iloveyou admin123 adminadmin
    welcome1 welcome123 letmein letmein1 monkey123 dragon123 sunshine1 princess1 football1 baseball1 superman1
    trustno1 changeme changeme1 changeme123 changeit hunter2 secret123 root123 toor123 test1234 master123 shadow123
    michael1 jordan23 summer2023 summer2024 summer2025 winter2023 winter2024 winter2025 spring2024 autumn2024
    p4ssw0rd qazwsx123 asdfgh123 zxcvbnm123
    """.split()  # noqa: SIM905 - a list of words reads as text
)
"""Words of public lists of leaked passwords that are words of nothing else: no numbers, which count things, too."""

_LOWEST_ENTROPY: Final = 3.9
_FEWEST_CHANGES: Final = 0.45


def looks_chosen_at_random(word: str) -> bool:
    """Whether a word of 20 characters and more is random: both cases and digits, mixed all along it.

    Names in camel case change their kind of character rarely, digests have one case, so both are passed over.
    """
    if not (any(map(str.isupper, word)) and any(map(str.islower, word)) and sum(map(str.isdigit, word)) >= 2):
        return False
    kinds = [0 if c.isdigit() else 1 if c.isupper() else 2 for c in word if c.isalnum()]
    changes = sum(a != b for a, b in pairwise(kinds))
    length = len(word)
    entropy = -sum((n := word.count(c)) / length * math.log2(n / length) for c in set(word))
    return changes / len(kinds) >= _FEWEST_CHANGES and entropy >= _LOWEST_ENTROPY
