"""A real browser for tests of pages: Chromium, spoken to over its DevTools protocol, where the machine has one.

It runs headless with an empty profile that is removed afterwards, and every request that the page makes is noted.
"""

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

PROGRAM: Final = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")

_OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
_START_SECONDS: Final = 30.0
_ANSWER_SECONDS: Final = 30.0


class Browser:
    """One page in one browser. Use as a context."""

    def __init__(self, *, width: int = 1400, height: int = 900) -> None:
        self._size = (width, height)
        self._loop = asyncio.new_event_loop()
        self._number = 0
        self.requests: list[str] = []
        """Addresses that the page requested, its own among them."""
        self.problems: list[str] = []
        """Exceptions of the page's scripts, and what its policy forbade."""

    def __enter__(self) -> Self:
        assert PROGRAM is not None
        self._folder = Path(tempfile.mkdtemp(prefix="browser-"))
        arguments = [PROGRAM, *_OPTIONS, f"--user-data-dir={self._folder}", "about:blank"]
        self._process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._run(self._connect())
        width, height = self._size
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._ask(f"{domain}.enable")
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._disconnect())
        self._process.terminate()
        self._process.wait(20)
        self._loop.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def open(self, path: Path, *, dark: bool = False) -> None:
        """Show a file, and wait until its script says that it is ready."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        self._ask("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + _ANSWER_SECONDS
        while self.evaluate("document.documentElement?.dataset.ready || ''") != "yes":
            assert time.monotonic() < deadline, self.problems
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys, by their names."""
        for key in keys:
            text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
            self._ask("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
            self._ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, x: float, y: float) -> None:
        """Click at a place of the window."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self) -> bytes:
        """What is to be seen, as a PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(work, _ANSWER_SECONDS))

    async def _connect(self) -> None:
        where = self._folder / "DevToolsActivePort"
        deadline = time.monotonic() + _START_SECONDS
        while not where.exists() or len(where.read_text().split()) < 2:
            assert time.monotonic() < deadline, "the browser does not start"
            await asyncio.sleep(0.05)
        port = where.read_text().split()[0]
        self._session = aiohttp.ClientSession()
        async with self._session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            pages = [one for one in await answer.json() if one["type"] == "page"]
        self._socket = await self._session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=64 << 20)

    async def _disconnect(self) -> None:
        await self._socket.close()
        await self._session.close()

    def _ask(self, method: str, **parameters: Any) -> Any:
        return self._run(self._asked(method, parameters))

    async def _asked(self, method: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        await self._socket.send_str(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(await self._socket.receive_str())
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(event["params"]["request"]["url"])
            case "Runtime.exceptionThrown":
                self.problems.append(str(event["params"]["exceptionDetails"]))
            case "Log.entryAdded":
                self.problems.append(event["params"]["entry"]["text"])
            case _:
                pass
