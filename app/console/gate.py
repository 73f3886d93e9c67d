"""What stands before every page of the console: who may ask, how, and what a browser may do with the answer.

Files of the page itself are the same for everybody and say nothing of anybody's data, so they need no token: the page
asks for it. Everything else needs it, unless TLS has asked for a certificate. Only one address takes a POST.
"""

import logging
from collections.abc import Awaitable, Callable
from email.message import Message
from http import HTTPStatus
from typing import Final

from aiohttp import web

from app.operators.json_text import json_text
from app.serving.access import HttpAccess
from app.serving.request import HttpRequest
from app.telemetry.repeated_lines import HoldBackRepeats

log = logging.getLogger(__name__)
_refusals_log = log.getChild("refusals")
_refusals_log.addFilter(HoldBackRepeats())  # whoever tries tokens must not fill the log

API: Final = "api/"
"""Where documents are, below the base path."""

METRICS: Final = "metrics"

TRY_OUT: Final = "api/try-out"
"""The one address that takes a POST. It stores nothing."""

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "Server": "callstream",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer: no script, style or connection but our own, and no other page around ours."""

_GETTING: Final = frozenset({"GET", "HEAD"})
_SAME_SITE: Final = frozenset({"same-origin", "none"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class QuestionError(Exception):
    """A question that has no answer: a status and a sentence for whoever asked."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


def document_of(document: object, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """A document as it is sent: nobody on the way keeps it, and no disk does."""
    return web.Response(
        status=status,
        text=json_text(document).encode("utf-8", "backslashreplace").decode(),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def gate(base_path: str, access: HttpAccess, *, by_certificate: bool) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware. With `by_certificate`, TLS has asked for a certificate, and no token is needed."""
    open_to_all = HttpAccess(hosts=access.hosts, host_required=True)
    # Prometheus asks a pod by its address. No page that was led here has the token, so with it the name says nothing.
    scraped = open_to_all if by_certificate else HttpAccess(token=access.token)

    def access_to(path: str) -> HttpAccess:
        if path == METRICS:
            return scraped
        return access if path.startswith(API) and not by_certificate else open_to_all

    def refusal(request: web.Request) -> web.Response | None:
        path = request.path.removeprefix(base_path)
        refused = access_to(path).refusal(_as_ours(request))
        if refused is not None:
            what = "token" if refused.status is HTTPStatus.UNAUTHORIZED else "host"
            _refusals_log.warning("a request to the console was refused: wrong %s", what)
            return document_of({"error": refused.text}, refused.status)
        if request.method not in _GETTING and not (request.method == "POST" and path == TRY_OUT):
            return document_of({"error": "the console only reads"}, HTTPStatus.METHOD_NOT_ALLOWED)
        if path.startswith(API) and request.headers.get("Sec-Fetch-Site", "none") not in _SAME_SITE:
            return document_of({"error": "another site may not ask"}, HTTPStatus.FORBIDDEN)
        return None

    @web.middleware
    async def pass_gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer: web.StreamResponse | None = refusal(request)
        if answer is None:
            answer = await _answered(request, handler)
        answer.headers.update(HEADERS)
        return answer

    return pass_gate


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except QuestionError as error:
        return document_of({"error": str(error)}, error.status)
    except web.HTTPRedirection as redirection:
        return redirection
    except web.HTTPException as error:
        return document_of({"error": error.reason}, HTTPStatus(error.status))
    except Exception as error:  # noqa: BLE001 - a mistake in one answer must not end the console, nor show its text
        log.error("a question to the console has no answer", extra={"facts": {"error": type(error).__name__}})
        return document_of({"error": "this cannot be answered; the console's log says why"}, HTTPStatus(500))


def _as_ours(request: web.Request) -> HttpRequest:
    """The part of a request that says who asks. A header that came twice stays twice."""
    fields = Message()
    for name in ("Host", "Authorization"):
        for value in request.headers.getall(name, []):
            fields[name] = value
    return HttpRequest(request.method, request.path, request.query_string, fields)
