"""The examples in docstrings are true."""

import doctest
import re

import pytest

import agents
from agents.hot_symbols.reading import regular_calls, times
from tests.support.calls import encode_call, frame

EXAMPLE_LINE = re.compile(r"^ +(-?\d+)  ((?:[0-9a-f]{2} )+) +\S", re.MULTILINE)


@pytest.mark.parametrize("module", [agents, times], ids=lambda module: module.__name__)
def test_examples_give_what_they_say(module: object) -> None:
    """Each example of a module is run."""
    ran = doctest.testmod(module, raise_on_error=False)  # type: ignore[arg-type]  # a module
    assert ran.attempted
    assert not ran.failed


def test_bytes_of_a_regular_call_are_as_the_example_has_them() -> None:
    """The example in regular_calls.py is a call as the privacy stage encodes it."""
    call = encode_call(
        {
            "event_id": "0123456789abcdef" * 2,
            "timestamp_ns": 1_700_000_000_123_456_789,
            "stack_frames": [frame("/a", "f")],
            "namespace": "shop",
            "source": {"partition": 3, "offset": 300},
        }
    )
    lines = EXAMPLE_LINE.findall(regular_calls.__doc__ or "")
    assert len(lines) == 14
    for at, text in lines:
        begin, expected = int(at) % len(call), bytes.fromhex(text)
        assert call[begin : begin + len(expected)] == expected, at
