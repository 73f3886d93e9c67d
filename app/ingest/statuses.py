"""What to do when a stream ends: try again, or stop and say why.

Source: Tetragon's server ends streams with CANCELLED or UNAVAILABLE when the agent stops. It answers a filter that it
cannot compile with UNKNOWN and the compiler's text. grpc-go produces the other statuses.
"""

from dataclasses import dataclass
from typing import Final

from grpc import StatusCode

from schemas.coverage import GapCause

_RETRIED: Final = frozenset(
    {
        StatusCode.OK,
        StatusCode.CANCELLED,
        StatusCode.UNAVAILABLE,
        StatusCode.INTERNAL,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.ABORTED,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.DATA_LOSS,
    }
)
_FILTERS: Final = "see CALLSTREAM_TETRAGON_ALLOW_LIST, _DENY_LIST and _FIELD_FILTERS"
_ADVICE: Final = {
    StatusCode.UNIMPLEMENTED: "no tetragon.FineGuidanceSensors/GetEvents is served there; is this Tetragon's port?",
    StatusCode.UNAUTHENTICATED: "it does not accept our certificate; see CALLSTREAM_TETRAGON_TLS_CERT_FILE",
    StatusCode.PERMISSION_DENIED: "it does not let us read events",
    StatusCode.INVALID_ARGUMENT: f"it refuses the request; {_FILTERS}",
    StatusCode.UNKNOWN: f"it refuses the request, probably for a filter; {_FILTERS}",
}
_MAX_DETAILS: Final = 300


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How a stream ended."""

    code: StatusCode
    details: str

    @property
    def name(self) -> str:
        """Status name, as in gRPC's documentation."""
        return str(self.code.name)


def cause_of(end: StreamEnd) -> GapCause:
    """The gap that the end of a stream begins."""
    if end.code is StatusCode.RESOURCE_EXHAUSTED and "larger than max" in end.details:
        return GapCause.OVERSIZED
    return GapCause.RECONNECT


def reason_to_stop(end: StreamEnd, address: str, *, ever_opened: bool) -> str | None:
    """Why trying again is useless, as a message for the operator; None when it is worth trying.

    UNKNOWN as the server's first answer means a wrong filter, and others mean other wrong settings. Once a stream was
    open the settings are right, and whatever an agent answers then is its own failure.
    """
    if end.code in _RETRIED or ever_opened:
        return None
    advice = _ADVICE.get(end.code, "it ends the stream")
    details = f" ({end.details[:_MAX_DETAILS]})" if end.details else ""
    return f"Tetragon at {address} answers {end.name}{details}: {advice}"
