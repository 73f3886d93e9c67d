"""Asks the agent for its policies, and tells an agent that does not know the question from one that refuses.

The question goes over the stream's own connection, so what is answered is of the agent whose events are read. Any other
failure is not an answer, and the next question may bring one.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import grpc
from google.protobuf.message import DecodeError

from agents.probes.policies_answer import policies_in
from agents.probes.policy_seen import PolicySeen
from app.ingest.client import AgentReply
from schemas.probes import AgentAnswer
from schemas.tetragon.policies_pb2 import GetInfoResponse

log = logging.getLogger(__name__)

_LIST: Final = "ListTracingPolicies"
_INFO: Final = "GetInfo"
ANSWER_SECONDS: Final = 5.0
"""As long as any question to an agent on the same node may take."""

_REFUSALS: Final = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED})


class Asked(Protocol):
    """The open stream of events, as `EventStream` is one."""

    @property
    def number(self) -> int | None:
        """Which stream it is; None while there is none."""

    def ask(self, method: str, request: bytes, timeout_seconds: float) -> AgentReply | None:
        """What the server answers; None where there is no stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyAnswer:
    """What became of one question. `policies` are none unless the agent answered.

    It was so at a moment between the two times. `stream` is the number of the stream that was open.
    """

    stream: int
    asked_ns: int
    answered_ns: int
    answer: AgentAnswer
    policies: tuple[PolicySeen, ...] = ()
    agent_version: str = ""


class PolicyQuestions:
    """Asks one agent. Not locked."""

    def __init__(
        self,
        stream: Asked,
        digests: Callable[[], Mapping[tuple[str, str], str]],
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`digests` are those of the specs in the operator's files, by namespace and name, as they are now."""
        self._stream = stream
        self._digests = digests
        self._wall_ns = wall_ns
        self._version: tuple[int, str] = (0, "")
        self.trouble: str | None = None
        """Why the last question had no answer; None where it had one, or there is no stream to ask on."""

    @property
    def stream(self) -> int | None:
        """Number of the stream that can be asked on; None while there is none."""
        return self._stream.number

    def ask(self) -> PolicyAnswer | None:
        """Ask once; None where nobody answered."""
        digests = self._digests()
        asked_ns = self._wall_ns()
        told = self._stream.ask(_LIST, b"", ANSWER_SECONDS)
        answered_ns = self._wall_ns()
        if told is None:
            self.trouble = None
            return None
        answer = _answer_of(told)
        found = policies_in(told.message, digests) if answer is AgentAnswer.ANSWERED else ()
        if answer is AgentAnswer.UNKNOWN or isinstance(found, str):
            self._complain(found if isinstance(found, str) and found else told.status.name)
            return None
        self._complain(None if answer is AgentAnswer.ANSWERED else told.status.name)
        return PolicyAnswer(
            stream=told.stream,
            asked_ns=asked_ns,
            answered_ns=answered_ns,
            answer=answer,
            policies=found,
            agent_version=self._agent_version(told.stream),
        )

    def _agent_version(self, stream: int) -> str:
        """Of a stream's agent; empty where it does not say. One question a stream, until there is an answer."""
        if self._version[0] == stream and self._version[1]:
            return self._version[1]
        told = self._stream.ask(_INFO, b"", ANSWER_SECONDS)
        if told is None or told.stream != stream or told.status is not grpc.StatusCode.OK:
            return ""
        try:
            self._version = stream, GetInfoResponse.FromString(told.message).version
        except DecodeError:
            return ""
        return self._version[1]

    def _complain(self, trouble: str | None) -> None:
        text = None if trouble is None else f"the agent does not tell of its policies: {trouble}"
        if text is not None and text != self.trouble:
            log.warning("%s", text)
        self.trouble = text


def _answer_of(told: AgentReply) -> AgentAnswer:
    """Unknown where the status says nothing of the agent's will."""
    if told.status is grpc.StatusCode.OK:
        return AgentAnswer.ANSWERED
    if told.status is grpc.StatusCode.UNIMPLEMENTED:
        return AgentAnswer.UNIMPLEMENTED
    return AgentAnswer.REFUSED if told.status in _REFUSALS else AgentAnswer.UNKNOWN
