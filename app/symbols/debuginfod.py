"""Debug files from a debuginfod server, if the operator names one.

Not used by default: a request shows the server which build of which program runs here. The protocol is one GET
(`/buildid/ID/debuginfo`, debuginfod(8)). The answer is a stranger's file like any other and goes to the limited reader.
"""

import re
from pathlib import Path
from typing import Final

import urllib3

# Debug files of large programs have some GB; the reader takes no more than this either.
MAX_DEBUG_FILE_BYTES: Final = 2**30
_GNU_BUILD_ID: Final = re.compile(r"(?:[0-9a-f]{2}){8,32}")
_CHUNK_BYTES: Final = 1 << 20
_TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=60.0)


class Debuginfod:
    """A client of one server."""

    def __init__(self, url: str) -> None:
        """`url` is the server's base address, http or https."""
        self._url = url.rstrip("/")
        self._pool = urllib3.PoolManager(retries=urllib3.Retry(total=2, redirect=3, backoff_factor=0.5))

    def fetch(self, build_id: str, target: Path) -> str | None:
        """Write the debug file of a GNU build id to `target`; None, or the reason why there is no such file."""
        if _GNU_BUILD_ID.fullmatch(build_id) is None:
            return "no GNU build id"
        try:
            answer = self._pool.request(
                "GET", f"{self._url}/buildid/{build_id}/debuginfo", preload_content=False, timeout=_TIMEOUT
            )
            try:
                if answer.status != 200:
                    return f"the server answered {answer.status}"
                return _saved(answer, target)
            finally:
                answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            return f"the server could not be reached ({type(error).__name__})"


def _saved(answer: urllib3.BaseHTTPResponse, target: Path) -> str | None:
    size = 0
    with target.open("wb") as stream:
        for chunk in answer.stream(_CHUNK_BYTES):
            size += len(chunk)
            if size > MAX_DEBUG_FILE_BYTES:
                return "larger than the limit on files"
            stream.write(chunk)
    return None
