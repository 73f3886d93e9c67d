"""Checks the agent: the link step by step, its version, and whether it accepts our request for events.

The link and the request are those of ingest. The stream ends after two seconds or a thousand events, so the agent has
one more reader for that long and no longer.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import StringValue

from agents.canonicalize.unknown_fields import message_and_number, unknown_in
from app.doctor.findings import CheckFinding, fail, ok, warn
from app.doctor.policies_check import check_policies
from app.ingest.agent_metrics import AgentMetrics
from app.ingest.filter_effect import drops, filters_in_force, let_through
from app.ingest.filters import request_of
from app.ingest.link import AgentLink, link_of, open_channel
from app.ingest.link_check import diagnose
from app.ingest.statuses import StreamEnd, reason_to_stop
from app.settings import Settings, SettingsError
from app.tls import TlsFilesError
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.tetragon.filters_pb2 import GetEventsRequest

_GET_EVENTS: Final = "/tetragon.FineGuidanceSensors/GetEvents"
_GET_VERSION: Final = "/tetragon.FineGuidanceSensors/GetVersion"
_ANSWER_SECONDS: Final = 3.0
_EVENT_SECONDS: Final = 2.0
_MAX_EVENTS: Final = 1_000
_NEEDED_FIELDS: Final = {
    "process.exec_id": "processes with one pid are not told apart after a restart of one",
    "return": "a return probe is counted as Kprobe",
}
_SEE: Final = "see CALLSTREAM_TETRAGON_*; ingest must run where the agent's socket or port can be reached"


def check_tetragon(settings: Settings) -> Iterator[CheckFinding]:
    """The link, the version, the stream, the tracing policies, and the page of loss counters."""
    try:
        link, wanted = link_of(settings), request_of(settings)
    except SettingsError as error:
        for line in error.errors:
            yield fail(line, "callstream doctor --settings lists what can be set")
        return
    trouble = diagnose(link)
    if trouble is not None:
        yield fail(trouble.text, _SEE)
    else:
        yield from _ask(settings, link, let_through(wanted).SerializeToString())
    yield from _check_filters(wanted)
    yield from _check_counters(settings)


def _ask(settings: Settings, link: AgentLink, request: bytes) -> Iterator[CheckFinding]:
    try:
        channel = open_channel(link)
    except TlsFilesError as error:
        yield fail(str(error), _SEE)
        return
    with channel:
        yield _version(link, channel)
        yield from _stream(link, channel, request)
        yield from check_policies(settings, channel)


def _version(link: AgentLink, channel: Any) -> CheckFinding:
    try:
        answer = channel.unary_unary(_GET_VERSION)(b"", timeout=_ANSWER_SECONDS)
        # GetVersionResponse has one text in field 1, and so has StringValue.
        version = StringValue.FromString(answer).value
    except (grpc.RpcError, DecodeError):
        return ok(f"something answers gRPC at {link.address}, but does not give Tetragon's version")
    return ok(f"Tetragon {version} at {link.address}")


def _stream(link: AgentLink, channel: Any, request: bytes) -> Iterator[CheckFinding]:
    """Whether the stream opens, and what its first events have that this version does not know."""
    call = channel.unary_stream(_GET_EVENTS)(request, timeout=_EVENT_SECONDS)
    events: list[bytes] = []
    end = None
    try:
        for event in islice(call, _MAX_EVENTS):
            events.append(event)  # noqa: PERF402 - the stream's end raises, and what came before it is kept
    except grpc.RpcError as error:
        end = StreamEnd(error.code(), error.details() or "")
    finally:
        call.cancel()
    if events:
        yield ok("events arrive")
        yield from _unknown(events)
    elif end is not None:
        yield _ended(link, end)
    else:
        yield warn(f"Tetragon at {link.address} ended the stream at once", "is the agent shutting down?")


def _unknown(events: Sequence[bytes]) -> Iterator[CheckFinding]:
    """Fields and kinds of a newer agent."""
    found: Counter[str] = Counter()
    damaged = 0
    for event in events:
        try:
            found.update(set(unknown_in(GetEventsResponse.FromString(event))))
        except DecodeError:
            damaged += 1
    if damaged:
        yield warn(
            f"{damaged} of {len(events)} messages are not events of Tetragon",
            "is CALLSTREAM_TETRAGON_ADDRESS Tetragon's own, or a proxy that changes the stream?",
        )
    for field, count in sorted(found.items()):
        message, number = message_and_number(field)
        yield warn(
            f"{count} of {len(events)} events have field {number} of {message}, which this version does not know",
            "what it says is dropped before the filter; see runtime_unknown_fields_total, and update callstream",
        )


def _ended(link: AgentLink, end: StreamEnd) -> CheckFinding:
    if end.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ok(f"the event stream opens; nothing happened on it for {_EVENT_SECONDS:.0f} s")
    reason = reason_to_stop(end, link.address, ever_opened=False)
    if reason is None:
        return warn(f"Tetragon at {link.address} ended the stream with {end.name}", "try again; is the agent starting?")
    return fail(reason, _SEE)


def _check_filters(wanted: GetEventsRequest) -> Iterator[CheckFinding]:
    """What the filters leave out, and what they make of the rest."""
    if filters_in_force(wanted).hide_evidence:
        yield warn(
            "filters hide events: coverage says Filtered, and no watch is answered NeverHit",
            "choose by event_set alone, and only among PROCESS_EXEC and PROCESS_EXIT; see CALLSTREAM_TETRAGON_*_LIST",
        )
    for lost, effect in _NEEDED_FIELDS.items():
        if any(drops(one, lost) for one in wanted.field_filters):
            yield warn(f"a field filter leaves out {lost}: {effect}", "see CALLSTREAM_TETRAGON_FIELD_FILTERS")


def _check_counters(settings: Settings) -> Iterator[CheckFinding]:
    url = settings.tetragon_metrics_url
    if not url:
        yield warn("losses inside the agent go unseen", "set CALLSTREAM_TETRAGON_METRICS_URL to its metrics page")
        return
    page = AgentMetrics(url)
    page.read(0)
    if page.trouble is not None:
        yield fail(
            f"Tetragon's loss counters cannot be read from {url}: {page.trouble}", "see the agent's --metrics-server"
        )
    else:
        yield ok("Tetragon's loss counters can be read")
