"""How an event is put together from its parts: what the event id covers, in which order, and what stands where.

Both ways through the stage end here (plain_kprobe.py and events.py), so the same event gets the same id and bytes
whichever way it went.
"""

from agents.canonicalize.identity import ABSENT, digest


def join_id(  # noqa: PLR0917 - runs for every event, and keywords double the cost of a call
    time: bytes,
    process: bytes,
    parent: bytes,
    probe_and_stack: bytes,
    arguments: bytes,
    data: bytes,
    returned: bytes,
    extra: bytes,
    node: bytes,
    ancestors: bytes,
    unknown: bytes,
) -> bytes:
    """The event id: a digest over the digests of the parts, and over the time as sent (`TIME` in identity.py).

    Every digest has 16 bytes and its own place; ABSENT stands for a part that was not sent. So no two different events
    concatenate to the same bytes. `extra` covers what only this kind of event has; `unknown` is empty where Tetragon
    sent nothing that we do not know.
    """
    return digest(
        b"".join((time, process, parent, probe_and_stack, arguments, data, returned, extra, node, ancestors, unknown))
    )


def join_event(  # noqa: PLR0917 - as above
    head: bytes,
    process: bytes,
    parent: bytes,
    ancestors: bytes,
    probe_and_stack: bytes,
    arguments: bytes,
    data: bytes,
    returned: bytes,
    exit_: bytes,
    node: bytes,
) -> bytes:
    """An encoded CanonicalEvent: every part as a field, in ascending order; a part that was not sent is empty."""
    return b"".join((head, process, parent, ancestors, probe_and_stack, arguments, data, returned, exit_, node))


def lineage_digest(digests: list[bytes]) -> bytes:
    """One digest for all ancestors, the nearest first."""
    return digest(b"".join(digests)) if digests else ABSENT
