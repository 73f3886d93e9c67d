"""Clients that connect and ask nothing, over real sockets."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import ClientSession, web

from app.console.newcomers import Newcomers


async def _page(_request: web.Request) -> web.Response:
    return web.Response(text="the page")


def _served(newcomers: Newcomers, then: Callable[[int], Awaitable[None]]) -> None:
    """Serve a page on a port, and call `then` with the port."""

    async def run() -> None:
        application = web.Application(middlewares=[newcomers.middleware()])
        application.router.add_get("/", _page)
        runner = web.AppRunner(application)
        await runner.setup()
        made = runner.server
        assert made is not None
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: newcomers.come(made()), "127.0.0.1", 0)
        try:
            await then(listening.sockets[0].getsockname()[1])
        finally:
            listening.close()
            await runner.cleanup()

    asyncio.run(run())


def test_the_newest_connection_always_gets_a_place() -> None:
    """However many others wait; the oldest of them goes."""

    async def then(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(12)]
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
            assert await answer.text() == "the page"
        assert await silent[0][0].read() == b""
        for _, writer in silent:
            writer.close()

    _served(Newcomers(most=4, seconds=60.0), then)


def test_who_does_not_ask_in_time_is_sent_away_and_who_asked_is_not() -> None:
    """Also one that sends the beginning of a request."""

    async def then(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n")
        async with ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/") as answer:
                assert answer.status == 200
            assert await asyncio.wait_for(reader.read(), 30) == b""
            async with session.get(f"http://127.0.0.1:{port}/") as answer:
                assert answer.status == 200
        writer.close()

    _served(Newcomers(most=100, seconds=0.3), then)
