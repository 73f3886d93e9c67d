"""schemas/probes.py: the typed twin of probe_window.avsc."""

import json
from dataclasses import replace
from typing import Any

import pytest

from schemas import records
from schemas.node import NodeId
from schemas.probes import (
    MAX_SEEN_HOOKS,
    AgentAnswer,
    PolicyState,
    ProbeWindow,
    SeenHooks,
    SeenHookState,
    WindowEnd,
    decode,
    encode,
    from_record,
)
from schemas.text_limits import MAX_PLACE_CHARS
from schemas.topics import MAX_SMALL_VALUE_BYTES

WINDOW = ProbeWindow(
    node="n",
    cluster="c",
    session="s",
    from_ns=1,
    to_ns=5,
    agent_version="v1.8.0",
    policy="tls",
    namespace="shop",
    domain="d",
    policy_id=7,
    state=PolicyState.ENABLED,
    hooks=(SeenHooks("uprobes", 0, 2, SeenHookState.LOADED),),
    counters={"post": 3},
    spec_digest="ab" * 32,
    end=WindowEnd.RELOADED,
)


def _enums(schema: Any) -> dict[str, list[str]]:
    if isinstance(schema, list):
        return {name: symbols for one in schema for name, symbols in _enums(one).items()}
    if not isinstance(schema, dict):
        return {}
    if schema["type"] == "enum":
        return {schema["name"]: schema["symbols"]}
    inner = [one["type"] for one in schema.get("fields", ())] + [schema.get("items"), schema.get("type")]
    return {name: symbols for one in inner for name, symbols in _enums(one).items()}


def test_words_are_those_of_the_schema() -> None:
    """No symbol is missing on either side."""
    words = (AgentAnswer, PolicyState, SeenHookState, WindowEnd)
    found = _enums(json.loads(records.schema_text(records.PROBE_WINDOW)))

    assert found == {one.__name__: [word.value for word in one] for one in words}


@pytest.mark.parametrize("window", [WINDOW, ProbeWindow(node="", from_ns=0, to_ns=0, answer=AgentAnswer.REFUSED)])
def test_what_is_encoded_is_decoded(window: ProbeWindow) -> None:
    """A policy's window, and one of an agent that does not tell."""
    assert decode(encode(window, 7)) == window
    assert WINDOW.node_id == NodeId("c", "n")


def test_numbers_and_lists_of_an_agent_fit_a_record() -> None:
    """An agent counts to 2^64, and may tell of any number of hooks; those beyond the limit are not told of."""
    hooks = tuple(SeenHooks("uprobes", 2 * at, 1, SeenHookState.LOADED) for at in range(MAX_SEEN_HOOKS + 1))
    most = (1 << 64) - 1
    value = encode(replace(WINDOW, policy_id=most, counters={"post": most}, hooks=hooks), 7)
    found = decode(value)

    assert (found.policy_id, found.counters) == ((1 << 63) - 1, {"post": (1 << 63) - 1})
    assert found.hooks == hooks[:MAX_SEEN_HOOKS]
    assert len(value) < MAX_SMALL_VALUE_BYTES


def test_words_of_a_newer_schema_are_unknown_and_names_are_cut() -> None:
    """A consumer of this version can still read tomorrow's records."""
    hook = {"section": "uprobes", "first": 0, "count": 1, "state": "Sleeping"}
    newer = {"answer": "Later", "state": "Paused", "end": "Melted", "hooks": [hook], "policy": "p" * 10_000}
    found = from_record(WINDOW.as_record() | newer)

    assert (found.answer, found.state, found.end) == (AgentAnswer.UNKNOWN, PolicyState.UNKNOWN, WindowEnd.UNKNOWN)
    assert found.hooks == (SeenHooks("uprobes", 0, 1, SeenHookState.UNKNOWN),)
    assert len(found.policy) == MAX_PLACE_CHARS
