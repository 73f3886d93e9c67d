"""The console in a real browser, over a real pipeline on a real broker, by role and text as people find things."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from confluent_kafka import Producer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, Page, Route, expect

from app.console.followed_topics import NODES
from app.kafka.records import Recorded
from app.stages.worker import registered_id
from schemas.topics import TOPICS, Access
from tests.support.breakable_broker import BreakableBroker
from tests.support.browser import PROGRAM, Seen, barriers, browser, page_in
from tests.support.console_scene import TOKEN, VIEWS, Console, console_scene
from tests.support.events import event
from tests.support.hostile_records import Hostility, hostile_nodes
from tests.support.pipeline_run import PipelineRun
from tests.support.signed_runs import KEY, make_evidence

pytestmark = [pytest.mark.integration, pytest.mark.skipif(PROGRAM is None, reason="no browser is here: make tools")]

HOSTILE_RECORDS = 1_000
MOST_BYTES = 900_000


@dataclass(frozen=True)
class Shown:
    """The console, the pipeline behind it, and the browser."""

    console: Console
    run: PipelineRun
    browser: Browser

    def open(self, page: Page, view: str = "pipeline") -> None:
        """Open a view with the token, and wait until it is there."""
        at = f"{self.console.url}#/{view}{'&' if '?' in view else '?'}token={TOKEN}"
        page.goto(at)
        page.wait_for_selector(f"main[data-ready={view.partition('?')[0]}]")


@pytest.fixture(name="shown", scope="module")
def _shown(embedded: BreakableBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("console")
    with console_scene(embedded, f"console-{time.time_ns():x}.", folder) as (console, run), browser() as started:
        yield Shown(console, run, started)


@pytest.fixture(name="page")
def _page(shown: Shown) -> Iterator[Page]:
    """A page on which nothing may go wrong and that asks nobody else."""
    with page_in(shown.browser) as (page, seen):
        yield page
        _clean(shown, seen)


def _clean(shown: Shown, seen: Seen) -> None:
    assert seen.problems == []
    assert seen.outside(shown.console.origin) == []


def test_a_token_opens_the_console_and_stays_in_no_address(shown: Shown, page: Page) -> None:
    """It is taken out of the address, kept in no store, and asked for again after a reload."""
    assert shown.console.answer("GET", "readyz", token=None).status == 200
    page.goto(f"{shown.console.url}#token={TOKEN}")
    expect(page.get_by_role("heading", name="Pipeline")).to_be_visible()
    assert TOKEN not in page.url
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    page.reload()
    expect(page.get_by_role("heading", name="Who is looking?")).to_be_visible()
    page.get_by_label("Token").fill("another-token-that-is-wrong")
    page.get_by_role("button", name="Show the console").click()
    expect(page.get_by_role("heading", name="Who is looking?")).to_be_visible()
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Pipeline")).to_be_visible()


def test_the_views_are_reached_by_keyboard(shown: Shown, page: Page) -> None:
    """With the links in order, the skip link first; the shown one is marked."""
    shown.open(page)
    page.keyboard.press("Tab")
    for text in VIEWS.values():
        link = page.get_by_role("navigation", name="Views").get_by_role("link", name=text)
        link.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1, name=text)).to_be_visible()
        expect(link).to_have_attribute("aria-current", "page")


def test_the_pipeline_is_shown_live(shown: Shown, page: Page) -> None:
    """The picture of the README, with what is in force and what was lost."""
    shown.open(page)
    stages = page.get_by_role("list", name="Processes in the order").get_by_role("listitem")
    expect(stages).to_have_count(4)
    for stage, name in zip(stages.all(), ("ingest", "canonicalize", "privacy", "hot-symbols"), strict=True):
        expect(stage.get_by_role("heading")).to_have_text(name)
        expect(stage).to_contain_text("1 process")
    policy = shown.console.ask("api/pipeline")["in_force"]["policies"][0]["value"]
    expect(page.get_by_text(policy)).to_be_visible()
    losses = page.get_by_role("region", name="Counted since each process started")
    expect(losses.get_by_role("row").filter(has_text="dead letters").first).to_be_visible()
    moment = page.get_by_role("main").locator("time").first
    before = moment.get_attribute("datetime") or ""
    expect(moment).not_to_have_attribute("datetime", before, timeout=15_000)


def test_a_window_is_judged_as_the_command_judges_it(shown: Shown, page: Page) -> None:
    """A lane a node; choosing one answers "trusted?", with why, at an address that can be shared."""
    shown.open(page, "coverage")
    lanes = shown.console.ask("api/nodes?from=24h")["lanes"]
    expect(page.get_by_role("img", name=re.compile("vouched for"))).to_have_count(len(lanes))
    sum_up = "(all) => all.map(({ x, width }) => x.baseVal.value + width.baseVal.value)"
    ends = page.locator(".lane rect").evaluate_all(sum_up)
    assert max(ends) <= 1000.01  # of 1000: what is missing now is seen too
    node = lanes[0]["node"]
    page.get_by_role("button", name=re.compile(rf"Can .*{re.escape(node)} be trusted")).first.click()
    expect(page.get_by_text(re.compile(r"Not trusted|Unknown|Trusted$")).first).to_be_visible()
    expect(page.get_by_text("No agent has told of its policies since then.")).to_be_visible()
    told = shown.console.ask(f"api/window?node={node}&cluster={lanes[0]['cluster']}&from=24h")
    assert told["trust"] in {"not-trusted", "unknown"}
    assert f"node={node}" in page.url
    shared = page.url
    assert TOKEN not in shared
    with page_in(shown.browser) as (other_page, seen):
        other_page.goto(shared)
        other_page.get_by_label("Token").fill(TOKEN)
        other_page.keyboard.press("Enter")
        expect(other_page.get_by_label("Node", exact=True)).to_have_value(node)
        expect(other_page.get_by_text(re.compile(r"Not trusted|Unknown")).first).to_be_visible()
        _clean(shown, seen)


def test_symbols_are_found_while_one_types(shown: Shown, page: Page) -> None:
    """By part of a name; one symbol has its hours, callers, paths, and events that lead to the call."""
    shown.open(page, "symbols")
    page.get_by_label("Function").press_sequentially("do_sysc")
    table = page.get_by_role("region", name="Symbols, most hits first")
    expect(table.get_by_role("rowheader")).to_have_count(
        shown.console.ask("api/symbols?text=do_sysc")["found"], timeout=10_000
    )
    expect(page).to_have_url(re.compile("text=do_sysc"))
    page.get_by_label("Function").fill("do_syscall_64")
    page.get_by_role("button", name="under its other names").click()
    expect(page.get_by_role("region", name="Rows of the function")).to_contain_text("do_syscall_64")
    table.get_by_role("link", name="do_syscall_64").click()
    expect(page.get_by_role("heading", level=1, name="do_syscall_64")).to_be_visible()
    expect(page.get_by_role("img", name="Hits by hour")).to_be_visible()
    expect(page.get_by_role("region", name="Direct callers")).to_contain_text("entry_SYSCALL_64")
    page.get_by_role("button", name="Show the paths").click()
    expect(page.get_by_text("who reaches it stands above it")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("region", name="Some of these calls").get_by_role("row").nth(1)).to_be_visible()
    page.get_by_role("region", name="The first, the last").get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1, name="Audit")).to_be_visible()
    expect(page.get_by_text("Found at partition")).to_be_visible(timeout=20_000)


def test_a_search_asks_one_question_at_a_time(shown: Shown, page: Page) -> None:
    """What is typed while one is asked is asked once after it, as it is by then."""
    shown.open(page, "symbols")
    held: list[Route] = []
    asked: list[str] = []
    page.route("**/api/symbols?*", lambda route: route.continue_() if held else held.append(route))
    page.on("request", lambda request: asked.append(request.url) if "/api/symbols?" in request.url else None)
    page.get_by_label("Function").press_sequentially("do_sysc")
    while not held:
        page.wait_for_timeout(10)
    held[0].continue_()
    found = page.get_by_role("region", name="Symbols, most hits first").get_by_role("rowheader")
    expect(found).to_have_count(shown.console.ask("api/symbols?text=do_sysc")["found"], timeout=10_000)
    assert [parse_qs(urlsplit(url).query)["text"] for url in asked] == [["d"], ["do_sysc"]]


def test_stacks_are_drawn_in_the_console_as_in_the_exported_file(shown: Shown, page: Page) -> None:
    """Compared with another window, grouped, turned round and searched; a link brings back all of it."""
    shown.open(page, "flames")
    page.get_by_label("From", exact=True).fill("1d")
    page.get_by_label("Compare with: from").fill("1d")
    page.get_by_role("button", name="Draw").click()
    graph = page.get_by_role("application", name="Call stacks")
    expect(graph).to_be_visible(timeout=20_000)
    expect(page.get_by_role("columnheader", name="Difference")).to_be_visible()
    page.get_by_label("Group by").select_option("namespace")
    graph.focus()
    page.keyboard.press("Home")
    expect(page.locator("#flame-detail")).to_contain_text("namespace")
    page.get_by_role("searchbox", name="Search").fill("do_syscall_64")
    page.get_by_role("button", name="Zoom to finds").click()
    page.get_by_label("Show").select_option("callers")
    graph.focus()
    page.keyboard.press("n")
    expect(page.locator("#flame-detail")).to_contain_text("do_syscall_64")
    shared = page.url
    page.goto("about:blank")
    page.goto(shared)
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#flame-detail")).to_contain_text("do_syscall_64", timeout=20_000)
    expect(page.get_by_label("Group by")).to_have_value("namespace")
    expect(page.get_by_role("button", name="Zoom to finds")).to_have_attribute("aria-pressed", "true")
    assert barriers(page) == []
    page.get_by_role("button", name="Open this function").click()
    expect(page.get_by_role("heading", level=1, name="do_syscall_64")).to_be_visible()
    page.get_by_role("button", name="Show the paths").click()
    expect(page.get_by_label("Show")).to_have_value("both", timeout=20_000)
    assert barriers(page) == []
    shown.open(page, "flames?from=2000-01-01T00:00:00Z&to=2000-01-02T00:00:00Z")
    expect(page.get_by_text("No call of this window has a stack")).to_be_visible(timeout=20_000)
    shown.open(page, "flames?from=yesterday")
    expect(page.get_by_role("alert")).to_contain_text("is not a time")


def test_what_is_not_found_says_what_to_do(shown: Shown, page: Page) -> None:
    """A missing row is not taken for a function that never runs."""
    shown.open(page, "symbols?text=no_such_function_anywhere")
    expect(page.get_by_text("neither has one that nobody looked at")).to_be_visible()
    shown.open(page, "symbol?id=no%21such")
    expect(page.get_by_role("alert")).to_contain_text("no row has this id")
    shown.open(page, "watches?find=nothing-like-this")
    expect(page.get_by_text("No watch matches.")).to_be_visible()
    shown.open(page, "coverage?find=nothing-like-this")
    expect(page.get_by_text("No node has this name.")).to_be_visible()


def test_an_answer_says_why_and_what_would_make_it_firm(shown: Shown, page: Page) -> None:
    """Verdict, reasons in words, remedies and evidence; and the same by vulnerability."""
    shown.open(page, "watches")
    rows = page.get_by_role("region", name="Watches, those that matter most first").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("Hit")
    expect(rows.nth(1)).to_contain_text("CVE-2026-0001")
    expect(rows.nth(2)).to_contain_text("Not seen")
    page.get_by_role("link", name=re.compile("never_called_by_anybody")).click()
    reasons = page.get_by_role("region", name="Reasons")
    expect(reasons).to_contain_text("the watch names no file")
    expect(reasons).to_contain_text("callstream watch add")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save this answer").click()
    answer = json.loads(Path(saved.value.path()).read_text())
    assert answer["answer"]["answer"] == "NotSeen"
    shown.open(page, "vulnerabilities")
    found = page.get_by_role("region", name="Vulnerabilities, those that matter most first").get_by_role("row")
    expect(found.nth(1)).to_contain_text("CVE-2026-0001")
    found.nth(1).get_by_role("link").click()
    expect(page.get_by_role("region", name="Events that were hits").get_by_role("row").nth(1)).to_be_visible()


def test_the_try_out_shows_what_leaves_field_by_field(shown: Shown, page: Page) -> None:
    """Under one policy, and where two differ; a policy that is wrong is told where."""
    shown.open(page, "privacy")
    page.get_by_role("button", name="Put in a sample").click()
    page.get_by_role("button", name="Try").click()
    fields = page.get_by_role("region", name="Fields of event 1")
    row = fields.get_by_role("row").filter(has_text="process.arguments")
    expect(row).to_contain_text("leaves redacted")
    expect(fields).not_to_contain_text("s3cr3t-Pa55")
    page.get_by_role("combobox", name=re.compile("^Compare with")).select_option("strict")
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_role("heading", name="default and strict")).to_be_visible()
    expect(page.get_by_role("region", name=re.compile("differ")).get_by_role("row").nth(1)).to_be_visible()
    page.get_by_role("button", name="Edit").first.click()
    page.get_by_label("Policy: its text").fill("what = is this")
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_role("alert")).to_contain_text("the policy is wrong")
    page.get_by_role("button", name="Count them").click()
    expect(page.get_by_text(re.compile("calls? (was|were) read"))).to_be_visible(timeout=20_000)


def test_a_manifest_is_checked_in_the_browser(shown: Shown, page: Page, tmp_path: Path) -> None:
    """Intact and signed, changed, signed by another, or without a key; nothing of it is sent."""
    raw = event("process_exec").SerializeToString()
    make_evidence(tmp_path, {0: [Recorded("tetragon.raw", 0, 0, 1_700_000_000_000, b"key", raw)]})
    manifest = tmp_path / "run" / "manifest.json"
    key = tmp_path / "key.pem"
    key.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    changed = tmp_path / "changed.json"
    changed.write_text(manifest.read_text().replace('"records":1', '"records":2', 1))
    other = tmp_path / "other.pem"
    other.write_bytes(
        Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    shown.open(page, "audit")
    view = page.get_by_role("main")
    page.get_by_label("Manifest (manifest.json)").set_input_files(manifest)
    expect(view.get_by_text("Intact, and nobody stands for it yet")).to_be_visible()
    page.get_by_label("Signature (manifest.dsse.json)").set_input_files(tmp_path / "run" / "manifest.dsse.json")
    page.get_by_label("Public key (PEM)").set_input_files(key)
    expect(view.get_by_text("Intact, and signed with this key")).to_be_visible()
    expect(view.get_by_text("That the run really makes these results.")).to_be_visible()
    page.get_by_label("Public key (PEM)").set_input_files(other)
    expect(view.get_by_text("The signature is not of the key that you gave")).to_be_visible()
    page.get_by_label("Public key (PEM)").set_input_files(key)
    page.get_by_label("Manifest (manifest.json)").set_input_files(changed)
    expect(view.get_by_text("Not proved")).to_be_visible()
    expect(view.get_by_text("its digest does not match its content")).to_be_visible()
    page.get_by_label("Manifest (manifest.json)").set_input_files(key)
    page.get_by_label("Manifest (manifest.json)").set_input_files(tmp_path / "archive" / "archive.json")
    expect(view.get_by_text("Not proved")).to_be_hidden()


def test_dead_letters_have_the_command_that_tries_them_again(shown: Shown, page: Page) -> None:
    """By reason, with their positions and no part of them."""
    shown.open(page, "letters")
    kinds = shown.console.ask("api/letters")["kinds"]
    for kind in kinds:
        expect(page.get_by_role("heading", name=f"{kind['stage']}: {kind['reason']}")).to_be_visible()
        command = f"callstream dead-letters retry --stage {kind['stage']} --reason {kind['reason']} --dry-run"
        expect(page.get_by_text(command)).to_be_visible()
    expect(page.get_by_role("main")).not_to_contain_text("no event at all")


def test_times_are_in_utc_with_the_local_one_beside(shown: Shown, page: Page) -> None:
    """Berlin is an hour or two ahead."""
    shown.open(page, "symbols")
    shown_time = page.get_by_role("main").locator("time").first
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC.* here$", shown_time.text_content() or "")


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 1280), (False, 360)])
def test_nothing_keeps_people_out(shown: Shown, dark: bool, width: int) -> None:
    """axe-core finds nothing serious in any view, and none is wider than a narrow window."""
    watch = shown.console.ask("api/watches")["rows"][0]["watch_id"]
    symbol = shown.console.ask("api/symbols?text=do_syscall_64")["rows"][0]["symbol_id"]
    more = (f"symbol?id={quote(symbol, '')}", f"watch?id={quote(watch, '')}")
    with page_in(shown.browser, dark=dark, width=width) as (page, seen):
        for view in (*VIEWS, *more):
            shown.open(page, view)
            page.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")  # it is drawn
            assert barriers(page) == [], view
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), view
        page.goto(f"{shown.console.url}?again#/pipeline")
        expect(page.get_by_role("heading", name="Who is looking?")).to_be_visible()
        assert barriers(page) == []
        _clean(shown, seen)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_console_cannot_be_asked_to_write(shown: Shown, method: str) -> None:
    """Whatever the address, with the right token."""
    for path in ("", "api/about", "api/watches", "api/window", "api/try-out/", "healthz"):
        assert shown.console.answer(method, path).status == 405


def test_hostile_records_change_nothing_but_text(shown: Shown) -> None:
    """A thousand in every public topic: no script runs, nothing is asked elsewhere, and every view stays."""
    run = shown.run
    ids = {
        topic.name: registered_id(run.settings, topic.name)
        for topic in TOPICS
        if topic.value_schema and topic.access is Access.PUBLIC
    }
    hostility = Hostility(7, ids, int(time.time() * 1000))
    letters = shown.console.ask("api/letters")["letters"]
    for topic in ids:
        records = [(record.key, record.value) for record in hostility.records(topic, HOSTILE_RECORDS)]
        _send(run, topic, records)
    _send(run, NODES, hostile_nodes(HOSTILE_RECORDS, time.time_ns()))
    deadline = time.monotonic() + 60
    while (
        not (about := shown.console.ask("api/about"))["refused"]
        or about["nodes"] < HOSTILE_RECORDS // 2
        or shown.console.ask("api/letters")["letters"] <= letters
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    with page_in(shown.browser) as (page, seen):
        for view, name in VIEWS.items():
            shown.open(page, view)
            expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
            assert page.locator("main").locator("script, iframe, img, object").count() == 0
            assert barriers(page) == [], view
        symbols = [row["symbol_id"] for row in shown.console.ask("api/symbols?count=10")["rows"]]
        watches = [row["watch_id"] for row in shown.console.ask("api/watches?count=10")["rows"]]
        inner = [
            *(f"symbol?id={quote(one, '')}" for one in symbols),
            *(f"watch?id={quote(one, '')}" for one in watches),
        ]
        for view in inner:
            shown.open(page, view)
            assert page.locator("main").locator("script, iframe, img, object").count() == 0
        _clean(shown, seen)
    assert shown.console.ask("api/about")["trouble"] is None


def _send(run: PipelineRun, topic: str, records: list[tuple[bytes | None, bytes | None]]) -> None:
    producer = Producer({"bootstrap.servers": run.settings.kafka_bootstrap_servers, "log_level": 0})
    for key, value in records:
        if len(key or b"") + len(value or b"") > MOST_BYTES:  # the broker takes no larger ones
            continue
        producer.produce(run.settings.name(topic), value, key)
        producer.poll(0)
    assert producer.flush(30) == 0
