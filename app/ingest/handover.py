"""What an ingest that stops leaves to the one that waits: a document in the journal's folder, used once.

It is written when all is done that the old one does, just before it gives the folder's lock free. Whoever then has the
lock takes it away before it writes an event. So a document that is found was left by the last process that wrote
anything, whatever was killed meanwhile.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from app.evidence import documents
from app.evidence.documents import DIGEST, DocumentError
from app.evidence.typed_fields import typed
from app.files.replacing import sync_folder
from app.ingest.agent_metrics import CounterReading
from app.ingest.node_claims import OpenClaim
from app.ingest.open_windows import OpenWindows

log = logging.getLogger(__name__)

_FILE: Final = "handover.json"


@dataclass(frozen=True, slots=True)
class Handover:
    """The last events of an ingest, and how far its coverage is. Times are Unix epoch in nanoseconds."""

    request: str
    """Digest of the GetEventsRequest: under other filters the same order would have other events."""
    stopped_ns: int
    """It still read then."""
    tail: tuple[str, ...]
    """Digests of the last events that it received, oldest first."""
    last_received_ns: int
    """It received nothing later; 0 if it never received anything."""
    claim: OpenClaim
    counters: CounterReading | None
    """The agent's loss counters when they were last read."""
    policies: OpenWindows | None = None
    """What the agent said of its policies so far; None before the first question."""


def leave(folder: Path, handover: Handover) -> None:
    """Write the document. Raises OSError."""
    documents.write(folder / _FILE, documents.sealed(asdict(handover)))


def take(folder: Path) -> Handover | None:
    """What the last process left, which is gone from now on; None where it left nothing that can be used.

    The caller holds the folder's lock. Raises OSError where the document cannot be removed.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    try:
        found: Mapping[str, object] = documents.read(path)
        handover = typed(Handover, {name: found[name] for name in found if name != DIGEST})
    except (DocumentError, ValueError) as error:
        log.warning("what the last ingest left cannot be used: %s", error)
        handover = None
    path.unlink()
    sync_folder(folder)
    return handover
