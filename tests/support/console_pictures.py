"""Pictures of every view of the console, to look at: `python -m tests.support.console_pictures FOLDER`.

Light, dark and 360 pixels wide, over a pipeline that has worked on a real broker. The tests find what a program can
find (tests/integration/test_console.py); how a page looks is for people to judge.
"""

import argparse
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from playwright.sync_api import Page

from app.embedded.broker import EmbeddedBroker
from tests.support.browser import browser, page_in
from tests.support.console_scene import TOKEN, VIEWS, Console, console_scene

LOOKS: Final = {"light": (False, 1280), "dark": (True, 1280), "narrow": (False, 360)}
"""By name: whether it is dark, and how wide."""

_WAIT_MS: Final = 20_000


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="console-pictures-") as name,
        EmbeddedBroker(Path(name) / "broker") as broker,
        console_scene(broker, "pictures.", Path(name)) as (console, _),
        browser() as started,
    ):
        for look, (dark, width) in LOOKS.items():
            with page_in(started, dark=dark, width=width) as (page, _seen):
                for view, path in _addresses(console):
                    page.goto(f"{console.url}#/{path}{'&' if '?' in path else '?'}token={TOKEN}")
                    page.wait_for_selector(f"main[data-ready={path.partition('?')[0]}]")
                    _use(page, view)
                    page.screenshot(path=folder / f"{view}-{look}.png", full_page=True)


def _addresses(console: Console) -> Iterator[tuple[str, str]]:
    """Views by the names of their pictures, with their addresses."""
    lane = console.ask("api/nodes?from=24h")["lanes"][0]
    symbol = console.ask("api/symbols?text=do_syscall_64")["rows"][0]["symbol_id"]
    yield from ((view, view) for view in VIEWS if view not in {"coverage", "flames"})
    yield "coverage", f"coverage?node={quote(lane['node'])}&cluster={quote(lane['cluster'])}&from=24h"
    yield "flames", "flames?from=1d&group=namespace"
    yield "flames-compared", "flames?from=1d&base_from=1d&find=syscall"
    yield "symbol", f"symbol?id={quote(symbol, '')}&view=both"
    for row in console.ask("api/watches")["rows"]:
        yield f"watch-{row['answer']}", f"watch?id={quote(row['watch_id'], '')}"
    yield "nothing-found", "symbols?text=no_such_function"
    yield "no-such-symbol", "symbol?id=no%21such"


def _use(page: Page, view: str) -> None:
    """Do what makes a view show all that it has."""
    match view:
        case "privacy":
            page.get_by_role("button", name="Put in a sample").click()
            page.get_by_role("combobox", name="Compare with").select_option("strict")
            page.get_by_role("button", name="Try").click()
            page.get_by_role("heading", name="default and strict").wait_for()
            page.get_by_role("button", name="Count them").click()
            page.get_by_text(re.compile("calls? (was|were) read")).wait_for(timeout=_WAIT_MS)
        case "pipeline":
            page.wait_for_timeout(5_000)  # a chart of one moment is empty
        case _:
            page.wait_for_timeout(100)


if __name__ == "__main__":
    main()
