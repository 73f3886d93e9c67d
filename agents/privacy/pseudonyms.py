"""Pseudonyms: a name becomes a token that compares within one epoch and says nothing without the key.

HMAC-SHA256 over domain and name, keyed per epoch; RFC 2104. Only names of people and their homes become pseudonyms.
Passwords and tokens are masked, because an equal pseudonym would say that two hosts share one. Without a key there are
no pseudonyms: whoever guesses a user name can confirm it by its bare hash.
"""

import base64
import enum
import hmac
from dataclasses import dataclass
from typing import Final

MIN_KEY_BYTES: Final = 16
_TOKEN_BYTES: Final = 10  # 16 base32 characters; two of a million names collide with a chance below one in a trillion


class NameDomain(enum.StrEnum):
    """Whose name it is. Names of two domains cannot be compared: a folder of ann's does not say that ann ran something.

    The person who may see users need not learn from paths which of them owns what, and the other way round.
    """

    USER = "user"
    HOME = "home"


class WeakKeyError(ValueError):
    """The key is too short to keep names from being guessed."""


@dataclass(frozen=True, slots=True, repr=False)
class Pseudonyms:
    """Keyed names: the key never leaves this object, not even into its own representation."""

    key: bytes
    epoch: str

    def __post_init__(self) -> None:
        if len(self.key) < MIN_KEY_BYTES:
            raise WeakKeyError(f"the key has {len(self.key)} bytes, fewer than {MIN_KEY_BYTES}")

    def of(self, domain: NameDomain, name: str) -> str:
        """The pseudonym of `name` in `domain`: `[user:EPOCH:TOKEN]`, or `[home:EPOCH:TOKEN]` of a home's owner."""
        message = f"{domain}\0{self.epoch}\0{name}".encode("utf-8", "surrogatepass")
        digest = hmac.digest(self.key, message, "sha256")[:_TOKEN_BYTES]
        return f"[{domain}:{self.epoch}:{base64.b32encode(digest).decode('ascii').lower()}]"

    def __repr__(self) -> str:
        return f"Pseudonyms(epoch={self.epoch!r})"
