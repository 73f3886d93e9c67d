"""Reads answers of HTTP servers within limits, and says why there was none."""

import re
import time
from typing import Final

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

ANSWER_SECONDS: Final = 20.0
"""For a whole answer. Without a limit, a server that sends a byte now and then holds a stage for hours."""

_MAX_REASON_CHARS: Final = 600


def content_of(answer: urllib3.BaseHTTPResponse, max_bytes: int) -> bytes | None:
    """The body, or as much of it as is too long; None if it does not come in time. Raises HTTPError."""
    deadline = time.monotonic() + ANSWER_SECONDS
    content = bytearray()
    try:
        while len(content) <= max_bytes:
            if time.monotonic() > deadline:
                return None
            read = answer.read1(1 << 16)
            if not read:
                answer.release_conn()
                break
            content += read
        return bytes(content)
    finally:
        if answer.connection is not None:  # not all of it was read, so the connection cannot be used again
            answer.close()


def bounded(text: str) -> str:
    """The beginning of a text that a server wrote."""
    return text if len(text) <= _MAX_REASON_CHARS else text[:_MAX_REASON_CHARS] + "…"


def cause_of(error: HTTPError) -> str:
    """Say what broke, without the address and the library's object names that urllib3 prints."""
    root: object = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
    text = str(root.args[-1]) if isinstance(root, Exception) and root.args else type(root).__name__
    kind = "TLS: " if isinstance(root, SSLError) else ""
    return kind + bounded(re.sub(r"^<?\w+[^>)]*[>)]: ", "", text))
