"""What stands before the console's answers, over real HTTP."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.console.gate import HEADERS, QuestionError, document_of, gate
from app.serving.access import HttpAccess

TOKEN = "the-token-of-this-test"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}
SECRET = "what only those with the token may see"


async def _secret(_request: web.Request) -> web.Response:
    return document_of({"secret": SECRET})


async def _page(_request: web.Request) -> web.Response:
    return web.Response(text="the page")


async def _broken(_request: web.Request) -> web.Response:
    raise ValueError(SECRET)


async def _no_answer(_request: web.Request) -> web.Response:
    raise QuestionError(HTTPStatus.NOT_FOUND, "no row has this id")


def _asked(
    method: str, path: str, headers: Mapping[str, str] | None = None, *, by_certificate: bool = False
) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers of the answer to one request."""

    async def run() -> tuple[int, str, dict[str, str]]:
        access = HttpAccess(frozenset({"127.0.0.1"}), None if by_certificate else TOKEN, host_required=True)
        application = web.Application(middlewares=[gate("/base/", access, by_certificate=by_certificate)])
        application.router.add_get("/base/", _page)
        application.router.add_get("/base/api/secret", _secret)
        application.router.add_get("/base/api/broken", _broken)
        application.router.add_get("/base/api/missing", _no_answer)
        application.router.add_post("/base/api/try-out", _secret)
        application.router.add_get("/base/metrics", _secret)
        async with TestClient(TestServer(application)) as client:
            answer = await client.request(method, path, headers=headers)
            return answer.status, await answer.text(), dict(answer.headers)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer another-token-of-this-len"},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Cookie": f"token={TOKEN}"},
    ],
)
@pytest.mark.parametrize(
    "path", ["/base/api/secret", "/base/api/none", f"/base/api/secret?token={TOKEN}", "/base/metrics"]
)
def test_without_the_token_nothing_is_told(path: str, headers: dict[str, str]) -> None:
    """Not even whether there is such an address."""
    status, text, _ = _asked("GET", path, headers)
    assert status == HTTPStatus.UNAUTHORIZED
    assert SECRET not in text
    assert TOKEN not in text


def test_with_the_token_or_a_certificate_the_answer_comes() -> None:
    """By the header alone; where TLS has asked for a certificate, without one."""
    assert SECRET in _asked("GET", "/base/api/secret", SHOWN)[1]
    assert SECRET in _asked("POST", "/base/api/try-out", SHOWN)[1]
    assert SECRET in _asked("GET", "/base/api/secret", by_certificate=True)[1]


def test_the_page_itself_needs_no_token() -> None:
    """It asks for it."""
    assert _asked("GET", "/base/")[:2] == (HTTPStatus.OK, "the page")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/base/", "/base/api/secret", "/base/api/try-out", "/base/api/try-out/x"])
def test_nothing_but_get_and_one_post_is_answered(method: str, path: str) -> None:
    """The console cannot be asked to change anything."""
    status, text, _ = _asked(method, path, SHOWN)
    if (method, path) == ("POST", "/base/api/try-out"):
        assert status == HTTPStatus.OK
    else:
        assert status == HTTPStatus.METHOD_NOT_ALLOWED
        assert "only reads" in text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1:80:80", ""])
@pytest.mark.parametrize("path", ["/base/", "/base/api/secret"])
def test_another_host_gets_nothing(path: str, host: str) -> None:
    """A name of somebody else that leads here must not make a browser show the console's answers to his page."""
    status, text, _ = _asked("GET", path, {**SHOWN, "Host": host})
    assert status == HTTPStatus.BAD_REQUEST
    assert SECRET not in text


def test_metrics_are_given_by_any_name_to_whoever_shows_the_token() -> None:
    """Prometheus asks a pod by its address. A browser shows its certificate for any page, so there the name counts."""
    other = {"Host": "10.1.0.9:9480"}
    assert SECRET in _asked("GET", "/base/metrics", SHOWN | other)[1]
    assert _asked("GET", "/base/metrics", other)[0] == HTTPStatus.UNAUTHORIZED
    assert _asked("GET", "/base/metrics", other, by_certificate=True)[0] == HTTPStatus.BAD_REQUEST
    assert SECRET in _asked("GET", "/base/metrics", by_certificate=True)[1]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_gets_no_answer_by_a_certificate(site: str) -> None:
    """The browser shows the certificate for any page, and says for which."""
    status, text, _ = _asked("GET", "/base/api/secret", {"Sec-Fetch-Site": site}, by_certificate=True)
    assert status == HTTPStatus.FORBIDDEN
    assert SECRET not in text


@pytest.mark.parametrize("path", ["/base/", "/base/api/secret", "/base/api/missing", "/base/none", "/elsewhere"])
@pytest.mark.parametrize("headers", [SHOWN, {}, {"Host": "evil.example"}])
def test_every_answer_has_the_rules_for_browsers(path: str, headers: dict[str, str]) -> None:
    """Also refusals: no script but ours, no page around ours, and no answer is kept."""
    _, _, sent = _asked("GET", path, headers)
    assert {name: sent[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in sent["Content-Security-Policy"]
    if path != "/base/" or "Host" in headers:
        assert sent["Cache-Control"] == "no-store"


def test_a_mistake_in_an_answer_shows_none_of_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """Its text may hold anything; the log has its class."""
    status, text, _ = _asked("GET", "/base/api/broken", SHOWN)
    assert status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert SECRET not in text + caplog.text


def test_a_question_without_an_answer_says_why() -> None:
    """With its own status."""
    status, text, _ = _asked("GET", "/base/api/missing", SHOWN)
    assert status == HTTPStatus.NOT_FOUND
    assert "no row has this id" in text
