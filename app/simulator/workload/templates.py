"""Events encoded once, with gaps for what differs from one occurrence to the next.

Encoding an event costs some 100 µs, and a load consists of some thousand different ones. So each is encoded once and
cut where its time goes and, for a process that lives only once, where its identity goes. What is put into a gap has
the length of what was cut out, because the lengths of the messages around it stand in front of them. Only the event's
own time, which is in no other message, may have any length.

Maps are written in the order of their keys, so that the same event has the same bytes.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from app.simulator.workload.fleet import MAX_PID, exec_id
from schemas import proto_wire
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.tetragon.process_pb2 import Process
from schemas.units import NS_PER_SECOND

# The fractions of a second at which events happen are the same in every second.
varint = lru_cache(maxsize=1 << 16)(proto_wire.varint)

_TIME_TAG: Final = proto_wire.field_tag(GetEventsResponse.TIME_FIELD_NUMBER)
_SECONDS_TAG, _NANOS_TAG = b"\x08", b"\x10"

# Values whose encoding is as long as that of any that takes their place, and that occur nowhere else.
_EXEC_ID_CHARS: Final = 44
_SENTINEL_EXEC_ID: Final = "@" * _EXEC_ID_CHARS
_SENTINEL_PID: Final = 2**21 - 1
_MIN_NANOS: Final = 2**28  # from here on nanoseconds take five bytes
_SENTINEL_START: Final = (2**35 - 1, NS_PER_SECOND - 1)

assert len(varint(_SENTINEL_PID)) == len(varint(MAX_PID))


class TemplateGap(Enum):
    """What goes into a gap."""

    TIME = "time of the event, with its tag"
    EXEC_ID = "exec_id of the process"
    PID = "pid and tid of the process"
    START = "start time of the process"
    EXIT = "time of its exit"


class ProcessIdentity(NamedTuple):
    """A process that lives once, as it stands in the gaps."""

    exec_id: bytes
    pid: bytes
    start: bytes


@dataclass(frozen=True, slots=True)
class Template:
    """One event. `head` comes before its time, `tail` behind; `frames` counts both stacks.

    One that is not timed has no time of its own, as the agent leaves it out of loader events.
    """

    kind: str
    frames: int
    head: bytes
    tail: bytes
    is_timed: bool


@dataclass(frozen=True, slots=True)
class MortalTemplate:
    """One event of a process that lives once: `pieces` with a gap behind each but the last."""

    pieces: tuple[bytes, ...]
    gaps: tuple[TemplateGap, ...]

    def of(self, who: ProcessIdentity, time: bytes, exit_time: bytes) -> bytes:
        """The event of this process; `exit_time` is the content of a Timestamp of full length."""
        filling = {
            TemplateGap.TIME: time,
            TemplateGap.EXEC_ID: who.exec_id,
            TemplateGap.PID: who.pid,
            TemplateGap.START: who.start,
            TemplateGap.EXIT: exit_time,
        }
        parts = [self.pieces[0]]
        for gap, piece in zip(self.gaps, self.pieces[1:], strict=True):
            parts += (filling[gap], piece)
        return b"".join(parts)


def event_time(nanoseconds: int) -> bytes:
    """`GetEventsResponse.time` with its tag and length."""
    seconds, nanos = divmod(nanoseconds, NS_PER_SECOND)
    content = b"\x08%b\x10%b" % (varint(seconds), varint(nanos or 1))
    return b"%b%c%b" % (_TIME_TAG, len(content), content)


def full_time(nanoseconds: int) -> bytes:
    """The content of a Timestamp within the same second, with a fraction that takes all of its bytes."""
    seconds, nanos = divmod(nanoseconds, NS_PER_SECOND)
    return _timestamp(seconds, _MIN_NANOS + nanos % (NS_PER_SECOND - _MIN_NANOS))


def identity(node: str, pid: int, started_ns: int, kernel_ns: int) -> ProcessIdentity:
    """Who a process is: `kernel_ns` is its start since the boot of `node`, in 16 digits."""
    whose = exec_id(node, kernel_ns, pid).encode()
    assert len(whose) == _EXEC_ID_CHARS
    return ProcessIdentity(whose, _SECONDS_TAG + varint(pid), full_time(started_ns))


def set_sentinels(process: Process) -> None:
    """Give a process values that `mortal` finds and cuts out."""
    process.exec_id = _SENTINEL_EXEC_ID
    process.pid.value = process.tid.value = _SENTINEL_PID
    process.start_time.seconds, process.start_time.nanos = _SENTINEL_START


def set_exit_sentinel(event: GetEventsResponse) -> None:
    """Give a process_exit a time of its own that `mortal` finds and cuts out."""
    event.process_exit.time.seconds, event.process_exit.time.nanos = _SENTINEL_START


def template(kind: str, event: GetEventsResponse, node: GetEventsResponse, *, is_timed: bool = True) -> Template:
    """The template of an event without a time; `node` has the fields that come behind it."""
    body = event.process_kprobe
    frames = len(body.kernel_stack_trace) + len(body.user_stack_trace)
    return Template(
        kind, frames, event.SerializeToString(deterministic=True), node.SerializeToString(deterministic=True), is_timed
    )


def mortal(event: GetEventsResponse, node: GetEventsResponse) -> MortalTemplate:
    """The template of an event whose process has sentinels."""
    parts = _SENTINEL.split(event.SerializeToString(deterministic=True))
    gaps: list[TemplateGap] = []
    for sentinel in parts[1::2]:
        gap = _GAPS[sentinel]
        # A process starts before it exits, and its start stands before the time of its exit.
        gaps.append(TemplateGap.EXIT if gap is TemplateGap.START and gap in gaps else gap)
    return MortalTemplate((*parts[::2], node.SerializeToString(deterministic=True)), (*gaps, TemplateGap.TIME))


def _timestamp(seconds: int, nanos: int) -> bytes:
    return _SECONDS_TAG + varint(seconds) + _NANOS_TAG + varint(nanos)


_GAPS: Final = {
    _SENTINEL_EXEC_ID.encode(): TemplateGap.EXEC_ID,
    _SECONDS_TAG + varint(_SENTINEL_PID): TemplateGap.PID,
    _timestamp(*_SENTINEL_START): TemplateGap.START,
}
"""What is searched for; `_SECONDS_TAG` is the tag of field 1 as well, which a UInt32Value's content begins with."""
_SENTINEL: Final = re.compile(b"(" + b"|".join(map(re.escape, _GAPS)) + b")")
