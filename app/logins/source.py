"""One token for all clients of a process, renewed before it ends."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from app.logins.token import Token, TokenError

log = logging.getLogger(__name__)

RENEW_AT: Final = 0.7
"""Share of a token's life after which a new one is fetched. librdkafka asks at 0.8, and then gets the new one."""

PAUSE_SECONDS: Final = 3.0
"""Between two tries. Every client that reconnects asks for a token, and some servers lock out who fails too often."""


class TokenSource:
    """Fetches tokens with `fetch` and keeps the newest. Any thread may ask."""

    def __init__(self, fetch: Callable[[], Token], clock: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._due_at = 0.0
        self._error: TokenError | None = None

    @property
    def trouble(self) -> TokenError | None:
        """Why the last try gave no token; None if it gave one."""
        return self._error

    def token(self) -> Token:
        """A token that is good now. While no new one can be had, the old one is handed out until it ends.

        Raises TokenError.
        """
        with self._lock:
            now = self._clock()
            if now >= self._due_at:
                self._renew(now)
            if self._token is not None and now < self._token.expires_at:
                return self._token
            if self._error is None:
                self._renew(now)  # the clock was set forward
            if self._error is not None:
                raise self._error
            assert self._token is not None
            return self._token

    def _renew(self, now: float) -> None:
        try:
            token = self._fetch()
        except TokenError as error:
            if self._token is not None and now < self._token.expires_at:
                left = self._token.expires_at - now
                log.warning("no new token, the present one is good for %.0f s: %s", left, error)
            self._error, self._due_at = error, now + PAUSE_SECONDS
        else:
            self._token, self._error = token, None
            self._due_at = now + RENEW_AT * max(0.0, token.expires_at - now)
