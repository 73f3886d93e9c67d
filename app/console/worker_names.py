"""Rows under any name of a function, asked of workers that hold the symbol store."""

import http.client
import json
import ssl
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from app.console.gate import QuestionError
from app.serving.address import HostPort
from app.stages.hot_symbols.endpoint import PATH
from app.stages.hot_symbols.peers import MAX_ANSWER_BYTES, MAX_SAID_CHARS

NO_WORKER: Final = "other names are asked of workers: set CALLSTREAM_CONSOLE_WORKERS to host:port of their /hot-symbols"

_SECONDS: Final = 10.0


class WorkerNames:
    """Asks one worker after the other until one answers. Its calls block."""

    def __init__(self, workers: Sequence[HostPort], token: str | None, tls: ssl.SSLContext | None) -> None:
        self._workers = tuple(workers)
        self._token = token
        self._tls = tls

    def rows(self, symbol: str, count: int) -> list[dict[str, Any]]:
        """The rows of the function that has this name, under whichever name they are. Raises QuestionError."""
        if not self._workers:
            raise QuestionError(HTTPStatus.NOT_IMPLEMENTED, NO_WORKER)
        troubles = []
        for worker in self._workers:
            try:
                return self._asked(worker, f"{PATH}?{urlencode({'symbol': symbol, 'top': count})}")
            except (OSError, http.client.HTTPException) as error:
                troubles.append(f"{worker} does not answer ({type(error).__name__})")
            except QuestionError as error:
                troubles.append(str(error))
        raise QuestionError(HTTPStatus.BAD_GATEWAY, "; ".join(troubles))

    def _asked(self, worker: HostPort, target: str) -> list[dict[str, Any]]:
        make = http.client.HTTPConnection if self._tls is None else _over(self._tls)
        connection = make(worker.host, worker.port, timeout=_SECONDS)
        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        try:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER_BYTES)
        finally:
            connection.close()
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        match document:
            case {"rows": [*rows]} if answer.status == HTTPStatus.OK:
                return rows
            case {"error": str(said)}:
                raise QuestionError(HTTPStatus.BAD_GATEWAY, f"{worker} says: {said[:MAX_SAID_CHARS]}")
            case _:
                raise QuestionError(HTTPStatus.BAD_GATEWAY, f"what listens at {worker} is not a worker of callstream")


def _over(tls: ssl.SSLContext) -> Any:
    def make(host: str, port: int, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)

    return make
