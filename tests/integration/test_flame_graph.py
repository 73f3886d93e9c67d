"""The flame graph as a file, in a real browser: what people see, reach by keyboard, link to and save."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Page

from app.export.flame_graph import flame_graph_pieces
from app.export.stack_frames import PROBE, StackFrame
from tests.support.browser import PROGRAM, Seen, barriers, browser, page_in
from tests.support.export_trees import MAIN, STACKS, demangle, tree_of

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no browser is here")

_HOSTILE: Final = "<img src=x onerror=alert(1)>"
_WRITE: Final = ("_ZN4shop6Basket3putERKi", "shop::Basket::put(int const&)")

_MORE: Final = (
    ("/usr/bin/cat", (StackFrame("/usr/lib/libssl.so.3", "SSL_read", resolution="Exact"), MAIN), 9),
    ("/usr/bin/shop", (StackFrame("/lib/evil.so", _HOSTILE, resolution="Exact"), MAIN), 4),
    ("/usr/bin/shop", (StackFrame("/lib/rare.so", "rare_one", resolution="Exact"), MAIN), 1),
    ("/usr/bin/big", (MAIN,), 60_000),
)


@contextmanager
def opened(folder: Path, *, dark: bool = False, width: int = 1280) -> Iterator[tuple[Page, Seen]]:
    """The page of a tree with a function that is a probe's target in one stack and a frame in another."""
    assert any(frame.resolution == PROBE for _, frames, _ in STACKS for frame in frames)
    file = folder / "calls.html"
    file.write_text("".join(flame_graph_pieces(tree_of((*STACKS, *_MORE)), demangle, "Calls", [("18 calls", False)])))
    with browser() as started, page_in(started, dark=dark, width=width) as (page, seen):
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready=yes]")
        yield page, seen
        assert seen.problems == []
        assert seen.outside("file:") == []


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 360)])
def test_a_narrow_find_is_marked_and_fills_the_picture_when_zoomed_to(tmp_path: Path, dark: bool, width: int) -> None:
    """One event of 60,000 is seen, in a page that no reader is kept out of and that does not overflow."""
    with opened(tmp_path, dark=dark, width=width) as (page, _):
        page.get_by_role("searchbox", name="Search").fill("rare_one")
        assert page.locator("#found").text_content() == "1 frame, in 1 event (0.002 %)"
        assert page.locator("#graph").get_attribute("data-marks") == "1"
        page.get_by_role("button", name="Zoom to finds").click()
        assert page.locator("#graph").get_attribute("data-marks") == "0"
        page.locator("#graph").focus()
        page.keyboard.press("n")
        assert "rare_one" in (page.locator("#name").text_content() or "")
        assert barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_one_function_is_one_row_and_shows_who_reaches_it(tmp_path: Path) -> None:
    """Events of a probe and of a stack are one sum; its callers go up by keyboard; a link brings all of it back."""
    with opened(tmp_path) as (page, _):
        rows = page.get_by_role("row").filter(has_text="SSL_read")
        assert rows.locator("td").all_text_contents()[:3] == ["16", "16", "sure"]
        page.get_by_role("button", name="Callers and callees of SSL_read").click()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        assert "main, user frame" in (page.locator("#spoken").text_content() or "")
        assert "9 events" in (page.locator("#spoken").text_content() or "")
        link = page.url
        page.goto("about:blank")
        page.goto(link)
        page.wait_for_selector("html[data-ready=yes]")
        assert page.locator("#name").text_content() == "main"
        page.keyboard.press("Tab")
        page.get_by_label("Show").select_option("callers")
        page.locator("#graph").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert "/usr/bin/big" in (page.locator("#spoken").text_content() or "")
        page.goto(page.url.partition("#")[0] + "#at=99.x&zoom=-1&of=1e9&view=none")
        assert page.get_by_label("Show").input_value() == "calls"


def test_a_picture_is_saved_with_the_names_as_text(tmp_path: Path) -> None:
    """SVG and PNG of what is shown; a name that looks like markup is a name; mangled names on demand."""
    with opened(tmp_path) as (page, _):
        page.get_by_role("searchbox", name="Search").fill("shop")
        page.get_by_role("button", name="Zoom to finds").click()
        page.get_by_role("searchbox", name="Search").fill("rare.so")
        page.get_by_role("searchbox", name="Search").fill("evil.so")
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save as SVG").click()
        saved.value.save_as(tmp_path / "one.svg")
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save as PNG").click()
        saved.value.save_as(tmp_path / "one.png")
        page.get_by_role("searchbox", name="Search").fill("")
        mangled, shown = (page.get_by_role("button", name=name, exact=True) for name in _WRITE)
        assert (mangled.count(), shown.count()) == (0, 1)
        page.get_by_role("button", name="Mangled names").click()
        assert (mangled.count(), shown.count()) == (1, 0)
        page.goto((tmp_path / "one.svg").as_uri())
        texts = page.locator("text").all_text_contents()

    assert _HOSTILE in texts
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_two_windows_differ_by_share_whichever_gives_the_widths(tmp_path: Path) -> None:
    """What came and what went are both in the table with their sign; what went is in the picture of the base window."""
    gone = StackFrame("/lib/old.so", "only_before", resolution="Exact")
    base = tree_of((*STACKS[1:], ("/usr/bin/shop", (gone, MAIN), 12)))
    file = tmp_path / "difference.html"
    file.write_text("".join(flame_graph_pieces(tree_of(), demangle, "Calls", [], base=base)))
    with browser() as started, page_in(started, dark=True, width=360) as (page, seen):
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready=yes]")
        for _ in range(2):
            went, came = (page.get_by_role("row").filter(has_text=name) for name in ("only_before", "tcp_connect"))
            assert "−48.00 points" in (went.text_content() or "")
            assert "+27.78 points" in (came.text_content() or "")
            page.get_by_role("button", name="Widths of the base window").click()
        page.get_by_role("button", name="Widths of the base window").click()
        page.get_by_role("button", name="Callers and callees of main").click()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        spoken = page.locator("#spoken").text_content() or ""
        assert spoken.startswith("only_before, user frame, name is sure (Exact), 12 events, 48.0 %, −48.00 points")
        assert (barriers(page), seen.problems, seen.outside("file:")) == ([], [], [])
