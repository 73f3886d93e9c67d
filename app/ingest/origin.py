"""What a heartbeat tells of the node's boot, if ingest runs on the node, and of ingest itself.

Whether it does follows from the agent's address: a socket file and a loopback address are on this host.
"""

import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

from app.ingest.link import AgentLink
from app.ingest.node_claims import Origin

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_on_this_node(link: AgentLink) -> bool:
    """Whether the agent runs on this host."""
    return link.is_unix or link.host_and_port[0] in _HERE


def stand_in_name(link: AgentLink) -> str:
    """What to call the node until an event has named it: this host for a local agent, else the agent's."""
    return os.uname().nodename if is_on_this_node(link) else link.host_and_port[0]


def origin_of(link: AgentLink) -> Origin:
    """The boot of this host where the agent runs on it; nothing of another host's."""
    program = version("callstream")
    if not is_on_this_node(link):
        return Origin(version=program)
    try:
        boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return Origin(version=program)
    return Origin(boot_id, time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME), program)
