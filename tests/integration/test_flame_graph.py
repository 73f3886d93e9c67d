"""The flame graph as a file, in a real browser: what people see, reach by keyboard, link to and save."""

import colorsys
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest
from playwright.sync_api import Browser, Page

from app.export.call_tree import CallPlace, CallTree, TreeBuilder
from app.export.flame_graph.page import flame_graph_pieces
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


@pytest.fixture(name="started", scope="module")
def _started() -> Iterator[Browser]:
    with browser() as started:
        yield started


@contextmanager
def opened(started: Browser, folder: Path, *, dark: bool = False, width: int = 1280) -> Iterator[tuple[Page, Seen]]:
    """The page of a tree with a function that is a probe's target in one stack and a frame in another."""
    assert any(frame.resolution == PROBE for _, frames, _ in STACKS for frame in frames)
    with shown(started, folder, tree_of((*STACKS, *_MORE)), dark=dark, width=width) as (page, seen):
        yield page, seen


@contextmanager
def shown(
    started: Browser,
    folder: Path,
    tree: CallTree,
    base: CallTree | None = None,
    *,
    dark: bool = False,
    width: int = 1280,
) -> Iterator[tuple[Page, Seen]]:
    """The page of a tree; nothing may go wrong on it."""
    file = folder / "calls.html"
    file.write_text("".join(flame_graph_pieces(tree, demangle, "Calls", [("18 calls", False)], base=base)))
    with page_in(started, dark=dark, width=width) as (page, seen):
        page.goto(file.as_uri())
        page.wait_for_selector("#graph[data-ready=yes]")
        yield page, seen
        assert seen.problems == []
        assert seen.outside("file:") == []


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 360)])
def test_a_narrow_find_is_marked_and_fills_the_picture_when_zoomed_to(
    started: Browser, tmp_path: Path, dark: bool, width: int
) -> None:
    """One event of 60,000 is seen, in a page that no reader is kept out of and that does not overflow."""
    with opened(started, tmp_path, dark=dark, width=width) as (page, _):
        page.get_by_role("searchbox", name="Search").fill("rare_one")
        assert page.locator("#flame-found").text_content() == "1 frame, in 1 event (0.002 %)"
        assert page.locator("#flame-graph").get_attribute("data-marks") == "1"
        page.get_by_role("button", name="Zoom to finds").click()
        assert page.locator("#flame-graph").get_attribute("data-marks") == "0"
        page.locator("#flame-graph").focus()
        page.keyboard.press("n")
        assert "rare_one" in (page.locator("#flame-name").text_content() or "")
        assert barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_one_function_is_one_row_and_shows_who_reaches_it(started: Browser, tmp_path: Path) -> None:
    """Events of a probe and of a stack are one sum; its callers go up by keyboard; a link brings all of it back."""
    with opened(started, tmp_path) as (page, _):
        rows = page.get_by_role("row").filter(has_text="SSL_read")
        assert rows.locator("td").all_text_contents()[1:4] == ["16", "16", "sure"]
        page.get_by_role("button", name="Callers and callees of SSL_read").click()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        assert "main, user frame" in (page.locator("#flame-spoken").text_content() or "")
        assert "9 events" in (page.locator("#flame-spoken").text_content() or "")
        link = page.url
        page.goto("about:blank")
        page.goto(link)
        page.wait_for_selector("#graph[data-ready=yes]")
        assert page.locator("#flame-name").text_content() == "main"
        page.keyboard.press("Tab")
        page.get_by_label("Show").select_option("callers")
        page.locator("#flame-graph").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert "/usr/bin/big" in (page.locator("#flame-spoken").text_content() or "")
        page.goto(page.url.partition("#")[0] + "#at=99.x&zoom=-1&of=1e9&view=none")
        assert page.get_by_label("Show").input_value() == "calls"


def test_a_picture_is_saved_with_the_names_as_text(started: Browser, tmp_path: Path) -> None:
    """SVG and PNG of what is shown; a name that looks like markup is a name; mangled names on demand."""
    with opened(started, tmp_path) as (page, _):
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


def test_two_windows_differ_by_share_whichever_gives_the_widths(started: Browser, tmp_path: Path) -> None:
    """What came and what went are both in the table with their sign; what went is in the picture of the base window."""
    gone = StackFrame("/lib/old.so", "only_before", resolution="Exact")
    base = tree_of((*STACKS[1:], ("/usr/bin/shop", (gone, MAIN), 12)))
    with shown(started, tmp_path, tree_of(), base, dark=True, width=360) as (page, _):
        for _ in range(2):
            went, came = (page.get_by_role("row").filter(has_text=name) for name in ("only_before", "tcp_connect"))
            assert "−48.00 points" in (went.text_content() or "")
            assert "+27.78 points" in (came.text_content() or "")
            page.get_by_role("button", name="Widths of the base window").click()
        page.get_by_role("button", name="Widths of the base window").click()
        page.get_by_role("button", name="Callers and callees of main").click()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        spoken = page.locator("#flame-spoken").text_content() or ""
        assert spoken.startswith("only_before, user frame, name is sure (Exact), 12 events, 48.0 %, −48.00 points")
        assert barriers(page) == []


def test_stacks_are_grouped_by_where_they_ran(started: Browser, tmp_path: Path) -> None:
    """By namespace, pod or image, also turned round; what does not say where has a group of its own."""
    builder = TreeBuilder()
    for place, events in (
        (CallPlace("shop", "web-1", "shop:1"), 3),
        (CallPlace("shop", "web-2", "shop:1"), 4),
        (CallPlace("cart", "cart-1", "shop:1"), 5),
        (CallPlace(), 2),
    ):
        builder.add("/usr/bin/shop", (MAIN,), events, place)
    with shown(started, tmp_path, builder.tree()) as (page, _):
        groups = {
            "namespace": {"shop": 7, "cart": 5, "(no namespace)": 2},
            "pod": {"cart-1": 5, "web-2": 4, "web-1": 3, "(no pod)": 2},
            "image": {"shop:1": 12, "(no image)": 2},
        }
        for kind, wanted in groups.items():
            page.get_by_label("Group by").select_option(kind)
            titles = [title for title, *_ in painted(page, tmp_path)]
            assert {title for title in titles if title.endswith(f"; {kind}")} == {
                f"{name}: {count} events, {100 * count / 14:.1f} %; {kind}" for name, count in wanted.items()
            }
        page.get_by_label("Group by").select_option("pod")
        page.get_by_label("Show").select_option("callers")
        page.locator("#flame-graph").focus()
        page.keyboard.press("Home")
        for _ in range(2):
            page.keyboard.press("ArrowDown")
        spoken = page.locator("#flame-spoken").text_content() or ""
        assert spoken.startswith("cart-1, pod, 5 events")
        link = page.url
        page.goto("about:blank")
        page.goto(link)
        page.wait_for_selector("#graph[data-ready=yes]")
        assert page.get_by_label("Group by").input_value() == "pod"
        assert page.locator("#flame-name").text_content() == "cart-1"


@pytest.mark.parametrize("dark", [False, True])
def test_every_name_is_readable_on_its_colour(started: Browser, tmp_path: Path, dark: bool) -> None:
    """At least 4.5 to 1, whatever the kind of frame, its shade, its change, and whether it was found."""
    several = [
        (f"/bin/{number}", (StackFrame(f"/lib/{number}.so", f"f{number}", resolution=kind, is_kernel_space=kernel),), 9)
        for number in range(12)
        for kind, kernel in (("Exact", False), ("Kernel", True), ("HintOnly", False), ("NoSymbolTable", False))
    ]
    less = [(binary, frames, 400 if number == 7 else number) for number, (binary, frames, _) in enumerate(several)]
    with shown(started, tmp_path, tree_of([*STACKS, *several]), tree_of([*STACKS, *less]), dark=dark, width=2_400) as (
        page,
        _,
    ):
        changes = painted(page, tmp_path)
        page.get_by_role("searchbox", name="Search").fill("lib/1")
        found = painted(page, tmp_path)
    with shown(started, tmp_path, tree_of([*STACKS, *several]), dark=dark, width=2_400) as (page, _):
        kinds = painted(page, tmp_path)
        page.get_by_label("Group by").select_option("pod")
        grouped = painted(page, tmp_path)

    pairs = {(box, ink) for _, box, ink in (*changes, *found, *kinds, *grouped) if ink}
    assert len(pairs) > 50
    assert {pair: round(contrast(*pair), 2) for pair in pairs if contrast(*pair) < 4.5} == {}


def painted(page: Page, folder: Path) -> Sequence[tuple[str, str, str]]:
    """What the picture has: title of each frame, its colour, and that of its name, empty where it has no room."""
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as SVG").click()
    saved.value.save_as(folder / "painted.svg")
    space = "{http://www.w3.org/2000/svg}"
    frames = ET.parse(folder / "painted.svg").iterfind(f"{space}g/{space}g")  # noqa: S314 - our own file
    return [
        (
            one.findtext(f"{space}title") or "",
            one.find(f"{space}rect").attrib["fill"],  # type: ignore[union-attr]  # every frame has one
            "" if (text := one.find(f"{space}text")) is None else text.attrib["fill"],
        )
        for one in frames
    ]


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG between two colours of CSS."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    if colour.startswith("#"):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    else:
        hue, strong, light = map(float, re.findall(r"[\d.]+", colour))
        parts = list(colorsys.hls_to_rgb(hue / 360, light / 100, strong / 100))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
