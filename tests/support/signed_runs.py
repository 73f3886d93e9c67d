"""An archive beside a signed run over it, as an auditor gets them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.kafka.records import Recorded
from app.progress import Progress
from app.replay.make import RunOutput, make
from app.replay.request import ReplayRequest
from app.settings import Settings
from tests.support.archives import make_archive

KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def make_evidence(folder: Path, parts: Mapping[int, Iterable[Recorded]]) -> None:
    """Make `archive` of these records by partition, and `run` over it, in a folder."""
    archive = make_archive(folder / "archive", parts)
    request = ReplayRequest(settings=Settings(), archive=archive.folder)
    make(request, RunOutput(folder=folder / "run", key=KEY), Progress())
