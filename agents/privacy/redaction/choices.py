"""What a policy may choose about the engine: treatments of names, limits, and additions to the built-in rules.

The built-in forms of secrets cannot be switched off: a policy decides about names of people, about fields, and about
what its organisation calls a secret besides. These are values; `policy_file` reads them.
"""

import enum
from dataclasses import dataclass


class Treatment(enum.StrEnum):
    """What becomes of a name of a person."""

    MASK = "mask"
    PSEUDONYM = "pseudonym"  # masked if no key is given
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class CustomPattern:
    """An RE2 pattern of the operator; what its groups match is redacted. `rule` is its name in the counts."""

    rule: str
    pattern: str


@dataclass(frozen=True, slots=True)
class RedactionChoices:
    """Choices about redaction inside texts.

    `names` are further names that announce a secret; `credential_paths` further patterns whose group is the name of a
    credential file; `epoch` is part of every pseudonym.
    """

    homes: Treatment = Treatment.MASK
    users: Treatment = Treatment.MASK
    epoch: str = "1"
    emails: bool = False
    names: tuple[str, ...] = ()
    patterns: tuple[CustomPattern, ...] = ()
    credential_paths: tuple[str, ...] = ()
    max_text_bytes: int = 65_536
