"""Requests and answers of the listener, apart from sockets."""

import http.client
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from typing import Final

from app.operators.escaping import escaped
from app.operators.json_text import json_text

HEAD_END: Final = b"\r\n\r\n"

_METHODS: Final = frozenset({"GET", "HEAD"})
_WORDS_OF_A_REQUEST_LINE: Final = 3


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """The head of one request."""

    method: str
    path: str
    query: str
    fields: Message

    def header(self, name: str) -> str | None:
        """The value of a header. A header that comes twice counts as missing: two readers may take different ones."""
        values = self.fields.get_all(name) or []
        return str(values[0]) if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class HttpPage:
    """What is sent back."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self, *, with_body: bool) -> bytes:
        """The whole answer. No browser guesses another type for it, and nobody on the way keeps it."""
        headers = {
            "Server": "callstream",
            "Content-Type": self.content_type,
            "Content-Length": str(len(self.body)),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            "Connection": "close",
            **self.headers,
        }
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}", *map(": ".join, headers.items())]
        return "\r\n".join(lines).encode("latin-1") + HEAD_END + (self.body if with_body else b"")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A document to answer with, as JSON."""

    status: HTTPStatus
    document: object

    def page(self, headers: Mapping[str, str] | None = None) -> HttpPage:
        """The document as it is sent."""
        body = escaped(json_text(self.document)) + "\n"
        return HttpPage(self.status, "application/json", body.encode("utf-8", "backslashreplace"), headers or {})


def parse_request(head: bytes) -> HttpRequest | HTTPStatus:
    """The request in a head that ends with an empty line, or the status with which it is refused."""
    line, _, rest = head.partition(b"\r\n")
    words = line.decode("latin-1").split(" ")
    if len(words) != _WORDS_OF_A_REQUEST_LINE or words[2] not in {"HTTP/1.0", "HTTP/1.1"}:
        return HTTPStatus.BAD_REQUEST
    if words[0] not in _METHODS:
        return HTTPStatus.NOT_IMPLEMENTED
    try:
        fields = http.client.parse_headers(io.BytesIO(rest))
    except http.client.HTTPException:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    path, _, query = words[1].partition("?")
    return HttpRequest(words[0], path, query, fields)
