"""The GetEvents stream: open it, read it to its end, and open it again.

The reading thread only hands bytes to `put`, as they are. Every end of a stream is reported before the next attempt,
because what happens in between is lost. The wait between attempts grows and is random. An end that waiting cannot
cure (`statuses`, `link_check`) ends the process with a message. Each attempt makes a new channel, which reads renewed
certificates.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc

from app.ingest.backoff import Backoff
from app.ingest.link import AgentLink, open_channel
from app.ingest.link_check import diagnose
from app.ingest.message_loop import read_messages
from app.ingest.statuses import StreamEnd, reason_to_stop
from app.operators.errors import OperatorError
from app.tls import TlsFilesError

log = logging.getLogger(__name__)

_GET_EVENTS: Final = "/tetragon.FineGuidanceSensors/GetEvents"
_GET_VERSION: Final = "GetVersion"
_METHODS: Final = "/tetragon.FineGuidanceSensors/"
_REPEAT_LOG_SECONDS: Final = 60.0
"""The same trouble is logged once a minute."""


_NO_ANSWER: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)
"""Any other status is an answer: an old agent, or a simulator, may not know the method."""


class TetragonUnusableError(OperatorError):
    """Tetragon is there and will not serve us as things are set; the message says what to do."""


@dataclass(frozen=True, slots=True)
class AgentReply:
    """What an agent answered: a message, or a status that is not OK. `stream` is the number of the stream then."""

    stream: int
    message: bytes
    status: grpc.StatusCode = grpc.StatusCode.OK
    details: str = ""


class EventStream:
    """Reads events until stopped. `run` is a thread's work; the rest may be called from any thread."""

    def __init__(
        self,
        link: AgentLink,
        request: bytes,
        put: Callable[[bytes], object],
        *,
        opened: Callable[[bytes], None],
        ended: Callable[[StreamEnd], None],
    ) -> None:
        """`request` is an encoded GetEventsRequest.

        `opened` is called with the first event of a stream, before `put`; `ended` when the stream is over. Both are
        called on the reading thread.
        """
        self._link = link
        self._request = request
        self._put = put
        self._on_opened = opened
        self._on_ended = ended
        self._backoff = Backoff(random.random)
        self._stopped = threading.Event()
        self._call_lock = threading.Lock()
        self._call: Any = None
        self._channel: Any = None
        self._streams = 0
        self._ever_opened = False
        self._logged: tuple[str, float] = ("", 0.0)
        self.trouble: str | None = "no attempt was made yet"
        """Why there is no stream; None while there is one, as far as is known."""

    def run(self) -> None:
        """Keep a stream open until `stop`. Raises TetragonUnusableError when trying again is useless."""
        while not self._stopped.is_set():
            started = time.monotonic()
            try:
                end = self._read_one_stream()
            except TlsFilesError as error:
                self._give_up_or_log(str(error), hopeless=not self._ever_opened)
            else:
                if self._stopped.is_set():
                    break
                self._on_ended(end)
                self._react(end)
            self._stopped.wait(self._backoff.wait_seconds(time.monotonic() - started))
        self.trouble = "stopped"

    def stop(self) -> None:
        """End the stream and `run`."""
        self._stopped.set()
        with self._call_lock:
            if self._call is not None:
                self._call.cancel()

    def answers(self, timeout_seconds: float) -> bool:
        """Whether the server answers on the stream's own connection, so that silence means that nothing happens."""
        found = self.ask(_GET_VERSION, b"", timeout_seconds)
        if found is None or found.status in _NO_ANSWER:
            return False
        with self._call_lock:
            if self._streams != found.stream or self._call is None:
                return False
            self.trouble = None
            return True

    @property
    def number(self) -> int | None:
        """Which stream it is, counted from 1; None while there is none."""
        with self._call_lock:
            return None if self._channel is None else self._streams

    def ask(self, method: str, request: bytes, timeout_seconds: float) -> AgentReply | None:
        """What the server answers to another call on the stream's own connection; None where there is no stream.

        So the answer is of the agent whose events are read, and not of one that came after it.
        """
        with self._call_lock:
            channel, stream = self._channel, self._streams
            if channel is None:
                return None
            call = channel.unary_unary(_METHODS + method)
        try:
            return AgentReply(stream, call(request, timeout=timeout_seconds))
        except grpc.RpcError as error:
            with self._call_lock:
                is_over = self._channel is not channel
            return None if is_over else AgentReply(stream, b"", error.code(), error.details() or "")
        except ValueError:  # the channel was closed meanwhile
            return None

    def _read_one_stream(self) -> StreamEnd:
        """Open one stream and read it to its end."""
        channel = open_channel(self._link)
        try:
            get_events = channel.unary_stream(_GET_EVENTS)
            with self._call_lock:
                if self._stopped.is_set():
                    return StreamEnd(grpc.StatusCode.CANCELLED, "stopped")
                call = self._call = get_events(self._request)
                self._channel = channel
                self._streams += 1
            for first_event in call:
                self._opened(first_event)
                return StreamEnd(*read_messages(call, self._put))
            return StreamEnd(call.code(), call.details() or "")
        except grpc.RpcError as error:
            return StreamEnd(error.code(), error.details() or "")
        finally:
            with self._call_lock:
                self._call = self._channel = None
                self.trouble = "the stream ended"
            channel.close()

    def _opened(self, first_event: bytes) -> None:
        self._ever_opened = True
        self.trouble = None
        log.info("the event stream is open", extra={"facts": {"address": self._link.address}})
        self._on_opened(first_event)
        self._put(first_event)

    def _react(self, end: StreamEnd) -> None:
        """Say why the stream ended. Raises TetragonUnusableError."""
        hopeless = reason_to_stop(end, self._link.address, ever_opened=self._ever_opened)
        if hopeless is not None:
            raise TetragonUnusableError(hopeless)
        text = f"the stream from {self._link.address} ended with {end.name}"
        if end.code is grpc.StatusCode.UNAVAILABLE:
            found = diagnose(self._link)
            if found is not None:
                self._give_up_or_log(found.text, hopeless=found.misconfigured and not self._ever_opened)
                return
        self._give_up_or_log(text + (f" ({end.details[:200]})" if end.details else ""), hopeless=False)

    def _give_up_or_log(self, text: str, *, hopeless: bool) -> None:
        self.trouble = text
        if hopeless:
            raise TetragonUnusableError(text)
        logged, at = self._logged
        if text != logged or time.monotonic() - at > _REPEAT_LOG_SECONDS:
            log.warning("%s; trying again", text)
            self._logged = (text, time.monotonic())
