import pytest
from grpc import StatusCode

from app.ingest.statuses import StreamEnd, cause_of, reason_to_stop
from schemas.coverage import GapCause

RETRIED = [
    StatusCode.OK,
    StatusCode.UNAVAILABLE,
    StatusCode.CANCELLED,
    StatusCode.INTERNAL,
    StatusCode.RESOURCE_EXHAUSTED,
]
FINAL = [
    StatusCode.UNIMPLEMENTED,
    StatusCode.UNAUTHENTICATED,
    StatusCode.PERMISSION_DENIED,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.FAILED_PRECONDITION,
]


@pytest.mark.parametrize("code", RETRIED)
@pytest.mark.parametrize("ever_opened", [False, True])
def test_ends_that_pass_are_tried_again(code: StatusCode, *, ever_opened: bool) -> None:
    """An agent that restarts, a connection that breaks, an event that is too large."""
    assert reason_to_stop(StreamEnd(code, ""), "a:1", ever_opened=ever_opened) is None


@pytest.mark.parametrize("code", FINAL)
def test_refusals_stop_with_address_status_and_words_of_the_server(code: StatusCode) -> None:
    """The operator reads who says what, and where to look."""
    reason = reason_to_stop(StreamEnd(code, "because"), "agent:54321", ever_opened=False)

    assert reason is not None
    assert reason.startswith(f"Tetragon at agent:54321 answers {code.name} (because): ")


@pytest.mark.parametrize("code", StatusCode)
def test_no_answer_of_an_agent_ends_an_ingest_that_had_a_stream(code: StatusCode) -> None:
    """Its settings are right; a port that was reused, or an agent that went mad, is waited for."""
    assert reason_to_stop(StreamEnd(code, "because"), "agent:54321", ever_opened=True) is None


def test_unknown_is_a_wrong_filter_at_first_and_a_mishap_later() -> None:
    """Tetragon answers a filter that it cannot compile with UNKNOWN, and so it does when a handler fails."""
    end = StreamEnd(StatusCode.UNKNOWN, "error parsing regexp")

    reason = reason_to_stop(end, "a:1", ever_opened=False)
    assert reason is not None
    assert "CALLSTREAM_TETRAGON_ALLOW_LIST" in reason
    assert reason_to_stop(end, "a:1", ever_opened=True) is None


def test_long_details_are_cut() -> None:
    """A server cannot fill the log with one status."""
    reason = reason_to_stop(StreamEnd(StatusCode.UNIMPLEMENTED, "x" * 10_000), "a:1", ever_opened=False)

    assert reason is not None
    assert len(reason) < 600


def test_oversized_event_is_told_from_an_exhausted_server() -> None:
    """Both are RESOURCE_EXHAUSTED; only our own limit means that one event was too large."""
    ours = StreamEnd(StatusCode.RESOURCE_EXHAUSTED, "CLIENT: Received message larger than max (20000001 vs. 16777216)")
    theirs = StreamEnd(StatusCode.RESOURCE_EXHAUSTED, "too many streams")

    assert cause_of(ours) is GapCause.OVERSIZED
    assert cause_of(theirs) is GapCause.RECONNECT
