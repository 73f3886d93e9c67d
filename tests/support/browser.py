"""A real browser for tests of pages: the system's Chromium, driven by Playwright, with what a page did wrong.

`python -m tests.support.tools chromium` installs it; without it these tests are skipped, and say so.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

PROGRAM: Final = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")

_OPTIONS: Final = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage")

SERIOUS: Final = frozenset({"serious", "critical"})

_REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (400|401|404)")
"""What a browser itself notes of an answer that a test asks for."""


@dataclass
class Seen:
    """What a page requested, and what went wrong on it."""

    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Errors in its console, exceptions, and dialogs."""

    def outside(self, origin: str) -> list[str]:
        """Requests to anywhere but an origin."""
        return [url for url in self.requests if not url.startswith((origin, "data:", "blob:"))]


@contextmanager
def browser() -> Iterator[Browser]:
    """The browser, with an empty profile."""
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=PROGRAM, args=list(_OPTIONS))
        try:
            yield started
        finally:
            started.close()


@contextmanager
def page_in(
    started: Browser, *, dark: bool = False, width: int = 1280, height: int = 860, zone: str = "Europe/Berlin"
) -> Iterator[tuple[Page, Seen]]:
    """An empty page, and what it will do."""
    scheme: Literal["dark", "light"] = "dark" if dark else "light"
    context = started.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": height},
        timezone_id=zone,
        locale="en-GB",
        reduced_motion="reduce",
    )
    page, seen = context.new_page(), Seen()

    def note_message(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not _REFUSED.match(message.text):
            seen.problems.append(message.text)

    def note_request(request: Request) -> None:
        seen.requests.append(request.url)

    def note_dialog(dialog: Any) -> None:
        seen.problems.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", note_message)
    page.on("pageerror", lambda error: seen.problems.append(str(error)))
    page.on("request", note_request)
    page.on("dialog", note_dialog)
    try:
        yield page, seen
    finally:
        context.close()


def barriers(page: Page) -> list[str]:
    """What axe-core finds on a page that keeps people out, serious or worse: its rule, and where."""
    # past the page's own policy, which forbids scripts of others: in a world of its own
    session = page.context.new_cdp_session(page)
    frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
    world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})["executionContextId"]
    script = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    run = "axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations.map((one) => "
    run += "({id: one.id, impact: one.impact, nodes: one.nodes.map((node) => node.html.slice(0, 200))})))"
    how = {"contextId": world, "awaitPromise": True, "returnByValue": True}
    session.send("Runtime.evaluate", {"expression": f"{script};0", **how})
    answer = session.send("Runtime.evaluate", {"expression": run, **how})
    assert "exceptionDetails" not in answer, answer
    session.detach()
    return [
        f"{one['id']} ({one['impact']}): {one['nodes'][:3]}"
        for one in answer["result"]["value"]
        if one["impact"] in SERIOUS
    ]
