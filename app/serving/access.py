"""Who may ask: the names under which a port answers, and the token that a client must show.

A browser on an operator's machine can be led to a port of that machine by a name that resolves to it. The name is then
in the request's Host, so a port that checks Host does not answer.
"""

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from app.serving.address import is_loopback, split_address
from app.serving.request import HttpRequest

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

MIN_TOKEN_CHARS: Final = 16
"""Of a token that nobody finds by trying: 64 bits in hex."""


@dataclass(frozen=True, slots=True)
class AccessRefusal:
    """Why a request is not answered."""

    status: HTTPStatus
    text: str


@dataclass(frozen=True, slots=True)
class HttpAccess:
    """What a request must show."""

    hosts: frozenset[str] | None = None
    """Names and addresses that a Host may have, in lower case and without a port; None for any."""
    token: str | None = None
    host_required: bool = False

    def refusal(self, request: HttpRequest) -> AccessRefusal | None:
        """Why this request gets no answer; None if it gets one."""
        if not self._host_is_known(request.header("Host")):
            return AccessRefusal(HTTPStatus.BAD_REQUEST, "this Host is not served here")
        if self.token is None:
            return None
        scheme, _, shown = (request.header("Authorization") or "").partition(" ")
        # Both sides as bytes: compare_digest takes the same time for every wrong token of one length.
        same = hmac.compare_digest(shown.strip().encode("utf-8", "replace"), self.token.encode())
        if scheme.lower() != "bearer" or not same:
            return AccessRefusal(HTTPStatus.UNAUTHORIZED, "show the token: Authorization: Bearer TOKEN")
        return None

    def _host_is_known(self, text: str | None) -> bool:
        if self.hosts is None:
            return True
        if text is None:
            return not self.host_required
        try:
            host, _ = split_address(text.strip())
        except ValueError:
            return False
        return host.lower() in self.hosts


def access_on(host: str) -> HttpAccess:
    """The rule for a port without a token: on loopback it answers under loopback's names only."""
    return HttpAccess(hosts=LOOPBACK_HOSTS | {host.lower()} if is_loopback(host) else None)
