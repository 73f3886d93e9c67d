"""Connections of aiokafka that log in again before their session ends.

A broker with `connections.max.reauth.ms` gives each login a lifetime, and so does a token that ends. Then it cuts the
connection at its next request. librdkafka logs in again in time; aiokafka does not, so this does it (KIP-368): the
handshake is repeated on the open connection, and requests that come meanwhile wait, because a broker takes nothing else
until the login is done. Answers to earlier requests arrive before it, since a broker answers in order.

This replaces a private function of aiokafka; tests/unit/app/streaming/test_faust_pins.py fails when what it builds on
changes.
"""

import asyncio
import logging
import time
import weakref
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Final

import aiokafka.client
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import SaslAuthenticateRequest, SaslHandShakeRequest

log = logging.getLogger(__name__)

RENEW_AT: Final = 0.8
"""Share of a session after which to log in again: a request that a broker keeps may come first, and take a while."""

_LEAST_SECONDS: Final = 1.2
"""Brokers refuse a second login within a second."""

_PAUSE_SECONDS: Final = 1.0
"""Between two tries to get a token."""


class RenewedConnection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka is untyped
    """A connection whose login is renewed until it is closed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._session_seconds = 0.0
        self._gate: asyncio.Future[None] | None = None
        self._renewal: asyncio.TimerHandle | asyncio.Task[None] | None = None

    async def connect(self) -> Any:
        """Connect and log in."""
        made = await super().connect()
        self._plan()
        return made

    def send(self, request: Any, expect_response: bool = True) -> Awaitable[Any]:
        """The answer to a request, which waits while a login is renewed."""
        if isinstance(request, SaslAuthenticateRequest):
            return self._noting_session(super().send(request, expect_response))
        if self._gate is not None and not isinstance(request, SaslHandShakeRequest):
            return self._send_behind(self._gate, request, expect_response)
        sent: Awaitable[Any] = super().send(request, expect_response)
        return sent

    def close(self, reason: Any = None, exc: Any = None) -> Any:
        """Close, and renew no more."""
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None
        return super().close(reason, exc)

    async def _noting_session(self, answer: Awaitable[Any]) -> Any:
        found = await answer
        self._session_seconds = getattr(found, "session_lifetime_ms", 0) / 1000
        return found

    async def _send_behind(self, gate: "asyncio.Future[None]", request: Any, expect_response: bool) -> Any:
        await asyncio.shield(gate)
        return await self.send(request, expect_response)

    def _plan(self) -> None:
        """Renew before the session ends, if it does."""
        if self._session_seconds > 0 and self.connected():
            delay = max(_LEAST_SECONDS, RENEW_AT * self._session_seconds)
            ends_at = time.monotonic() + self._session_seconds
            self._renewal = self._loop.call_later(delay, _begin, weakref.ref(self), ends_at)

    async def renew(self, ends_at: float) -> None:
        """Log in again. A connection that cannot is closed, and its requests are repeated on the next one."""
        try:
            if not await self._token_is_there(ends_at):
                return  # the broker cuts the connection, and the next one says why it cannot log in
            self._gate = self._loop.create_future()
            try:
                await self._do_sasl_handshake()
            finally:
                self._gate.set_result(None)
                self._gate = None
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("the login at %s:%s could not be renewed: %s", self.host, self.port, error)
            self._renewal = None  # this task, which need not be cancelled
            self.close(reason=CloseReason.AUTH_FAILURE, exc=error)
        else:
            self._plan()

    async def _token_is_there(self, ends_at: float) -> bool:
        """Have a token at hand before requests begin to wait; False if none comes until the session ends."""
        provider = self._sasl_oauth_token_provider
        while provider is not None:
            with suppress(KafkaError):
                await provider.token()
                return True
            if time.monotonic() + _PAUSE_SECONDS > ends_at:
                return False
            await asyncio.sleep(_PAUSE_SECONDS)
        return True


def _begin(reference: "weakref.ref[RenewedConnection]", ends_at: float) -> None:
    """Begin to renew, unless nobody has the connection any more."""
    connection = reference()
    if connection is not None and connection.connected():
        connection._renewal = connection._loop.create_task(connection.renew(ends_at))  # noqa: SLF001 - of this module


async def _create_conn(host: str, port: int, **options: Any) -> RenewedConnection:
    connection = RenewedConnection(host, port, **options)
    await connection.connect()
    return connection


def install() -> None:
    """Make aiokafka's clients use these connections."""
    aiokafka.client.create_conn = _create_conn
