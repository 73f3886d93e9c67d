"""Limits on connections that have not asked anything yet, which aiohttp does not set.

A client that opens connections and sends nothing, or a request byte by byte, costs sockets for some seconds, and the
newest connection always gets a place.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from app.console.gate import Handler

MOST_CONNECTIONS: Final = 256
"""Of clients that have not asked yet: a browser opens six."""

REQUEST_SECONDS: Final = 10.0
"""From a connection to its first request."""

Protocol = web.RequestHandler


class Newcomers:
    """The connections that have not asked yet. All of it runs on the event loop."""

    def __init__(self, most: int = MOST_CONNECTIONS, seconds: float = REQUEST_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._waiting: dict[Protocol, None] = {}

    def come(self, protocol: Protocol) -> Protocol:
        """A connection is made; the oldest that has not asked yet may have to go."""
        self._waiting[protocol] = None
        if len(self._waiting) > self._most:
            self._send_away(next(iter(self._waiting)))
        asyncio.get_running_loop().call_later(self._seconds, self._send_away, protocol)
        return protocol

    def middleware(self) -> Callable[..., Awaitable[web.StreamResponse]]:
        """Learns which connections have asked."""

        @web.middleware
        async def meet(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._waiting.pop(request.protocol, None)
            return await handler(request)

        return meet

    def _send_away(self, protocol: Protocol) -> None:
        if protocol in self._waiting:
            del self._waiting[protocol]
            if protocol.transport is not None:
                protocol.transport.abort()
