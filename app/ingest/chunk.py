"""A run of events in the order of receipt: what is sent, dropped or stored as one."""

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Chunk:
    """Events as received, with a record key for each.

    `received_ms` is when they arrived, Unix time; the buffer closes a chunk within milliseconds, so one is enough.
    """

    received_ms: int
    events: list[bytes]
    keys: list[bytes] = field(default_factory=list)
    size_bytes: int = 0

    def __len__(self) -> int:
        return len(self.events)
