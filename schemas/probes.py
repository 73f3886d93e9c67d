"""What a node's agent says of its tracing policies, by time. The typed twin of schemas/avro/probe_window.avsc.

Times are Unix epoch in nanoseconds; `from_ns` is when the first answer was there that said so, and `to_ns` is when the
last one was asked for.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

from schemas import records
from schemas.coverage import MAX_SESSION_CHARS
from schemas.node import NodeId
from schemas.text_limits import cut_place, cut_text
from schemas.units import EARLIEST_NS, LATEST_NS

MAX_SEEN_HOOKS: Final = 256
"""Runs of hooks in a record. What the agent says of more is not kept, so they do not count as loaded."""


class AgentAnswer(StrEnum):
    """Symbols of the Avro enum AgentAnswer."""

    UNKNOWN = "Unknown"
    ANSWERED = "Answered"
    UNIMPLEMENTED = "Unimplemented"
    REFUSED = "Refused"


class PolicyState(StrEnum):
    """Symbols of the Avro enum PolicyState, after the agent's TracingPolicyState."""

    UNKNOWN = "Unknown"
    ENABLED = "Enabled"
    DISABLED = "Disabled"
    LOAD_ERROR = "LoadError"
    ERROR = "Error"
    LOADING = "Loading"
    UNLOADING = "Unloading"
    SKIPPED = "Skipped"
    PARTIALLY_ENABLED = "PartiallyEnabled"


class SeenHookState(StrEnum):
    """Symbols of the Avro enum SeenHookState, after the agent's HookState."""

    UNKNOWN = "Unknown"
    LOADED = "Loaded"
    DIGEST_REJECTED = "DigestRejected"
    CALL_NOT_FOUND = "CallNotFound"
    PARTIAL_CALL_NOT_FOUND = "PartialCallNotFound"


class WindowEnd(StrEnum):
    """Symbols of the Avro enum WindowEnd: why a window grows no more."""

    UNKNOWN = "Unknown"
    OPEN = "Open"
    RELOADED = "Reloaded"
    CHANGED = "Changed"
    GONE = "Gone"
    UNASKED = "Unasked"
    CLOCK_SET = "ClockSet"
    STREAM_ENDED = "StreamEnded"


@dataclass(frozen=True, slots=True, order=True)
class SeenHooks:
    """Hooks of a section that follow each other and have one state: `count` of them from place `first` on."""

    section: str
    first: int
    count: int
    state: SeenHookState


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeWindow:
    """One record of runtime.probes; its `policy` is empty where it is of the agent itself."""

    node: str
    cluster: str = ""
    session: str = ""
    from_ns: int
    to_ns: int
    answer: AgentAnswer = AgentAnswer.ANSWERED
    agent_version: str = ""
    policy: str = ""
    namespace: str = ""
    domain: str = ""
    policy_id: int = 0
    state: PolicyState = PolicyState.UNKNOWN
    hooks: tuple[SeenHooks, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    spec_digest: str | None = None
    end: WindowEnd = WindowEnd.OPEN

    @property
    def node_id(self) -> NodeId:
        """The node that it is about."""
        return NodeId(self.cluster, self.node)

    def as_record(self) -> dict[str, Any]:
        """Field names and values of the Avro record; also fit for JSON."""
        hooks = [asdict(one) | {"state": one.state.value} for one in self.hooks]
        words = {"answer": self.answer.value, "state": self.state.value, "end": self.end.value}
        return asdict(self) | words | {"hooks": hooks, "counters": dict(self.counters)}


def encode(window: ProbeWindow, schema_id: int) -> bytes:
    """The Avro record with its schema header; numbers that it cannot hold are the first or the last that it can."""
    record = window.as_record()
    record |= {name: _within_long(record[name]) for name in ("from_ns", "to_ns", "policy_id")}
    record["hooks"] = record["hooks"][:MAX_SEEN_HOOKS]
    record["counters"] = {name: _within_long(count) for name, count in record["counters"].items()}
    return records.encode(records.PROBE_WINDOW, schema_id, record)


def from_record(record: Mapping[str, Any]) -> ProbeWindow:
    """The window that a record describes; words of a newer schema are Unknown, and names are within their limits."""
    node = NodeId(record["cluster"], record["node"]).within_limits()
    digest = record["spec_digest"]
    return ProbeWindow(
        node=node.name,
        cluster=node.cluster,
        session=cut_text(record["session"], MAX_SESSION_CHARS),
        from_ns=record["from_ns"],
        to_ns=record["to_ns"],
        answer=_word(AgentAnswer, record["answer"]),
        agent_version=cut_text(record["agent_version"], MAX_SESSION_CHARS),
        policy=cut_place(record["policy"]),
        namespace=cut_place(record["namespace"]),
        domain=cut_place(record["domain"]),
        policy_id=record["policy_id"],
        state=_word(PolicyState, record["state"]),
        hooks=tuple(_hooks(one) for one in record["hooks"][:MAX_SEEN_HOOKS]),
        counters={cut_place(name): count for name, count in record["counters"].items()},
        spec_digest=None if digest is None else cut_place(digest),
        end=_word(WindowEnd, record["end"]),
    )


def decode(value: bytes, writer_schema: Any = None) -> ProbeWindow:
    """The window in an Avro record with its schema header; see `records.decode` for what it raises."""
    return from_record(records.decode(records.PROBE_WINDOW, value, writer_schema))


WordT = TypeVar("WordT", AgentAnswer, PolicyState, SeenHookState, WindowEnd)


def _word(words: type[WordT], text: str) -> WordT:
    return words(text) if text in words.__members__.values() else words.UNKNOWN


def _hooks(record: Mapping[str, Any]) -> SeenHooks:
    section, state = cut_place(record["section"]), _word(SeenHookState, record["state"])
    return SeenHooks(section, record["first"], record["count"], state)


def _within_long(number: int) -> int:
    return max(EARLIEST_NS, min(LATEST_NS, number))
