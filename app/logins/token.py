"""A bearer token, and why there is none."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Final

from app.operators.errors import ServerError

OPAQUE_SECONDS: Final = 60.0
"""How long a token counts as good that does not say when it ends: then its source gives the next one."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its end in seconds since 1970. It prints without its value."""

    value: str = field(repr=False)
    expires_at: float


class TokenError(ServerError):
    """There is no token. The message begins with the setting to look at, and never holds a secret.

    `passing` means that waiting may help: nobody answers.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


def end_of(value: str, now: float) -> float:
    """When a token ends by its own word (the claim `exp` of a JWT); a little later than now if it does not say."""
    end = _claims(value).get("exp")
    return float(end) if isinstance(end, int | float) else now + OPAQUE_SECONDS


def _claims(value: str) -> dict[str, Any]:
    """The claims of a JWT, whose signature is the server's matter; none for any other text."""
    parts = value.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
