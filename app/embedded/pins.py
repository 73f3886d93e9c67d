"""What the embedded broker consists of: versions from pom.xml, and the sha256 of every file that Maven may deliver.

Only files that pinned.sha256 lists are used, and none of them may be missing. `python -m app.embedded.record_pins`
rewrites pinned.sha256 after a version was changed.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from app.embedded.failures import EmbeddedError, Failure

POM = Path(__file__).with_name("pom.xml")
DIGESTS = Path(__file__).with_name("pinned.sha256")
REGISTRY_ARCHIVE = "registry.tar.gz"
KAFKA_FOLDER = "kafka"


@dataclass(frozen=True, slots=True)
class Pins:
    """The pinned versions; `digests` maps a path below Maven's output folder to its sha256 in lower hex."""

    kafka_version: str
    registry_version: str
    digests: dict[str, str]
    fingerprint: str
    """Changes whenever a pin does: names the folder that holds what was fetched for it."""


def read_pins() -> Pins:
    """Read the committed pins."""
    pom, digests = POM.read_bytes(), DIGESTS.read_bytes()
    lines = (line.split(maxsplit=1) for line in digests.decode("ascii").splitlines())
    return Pins(
        kafka_version=_version(pom.decode(), "kafka.version"),
        registry_version=_version(pom.decode(), "registry.version"),
        digests={path: digest for digest, path in lines},
        fingerprint=hashlib.sha256(pom + b"\0" + digests).hexdigest()[:16],
    )


def _version(pom: str, name: str) -> str:
    found = re.search(rf"<{re.escape(name)}>([^<]+)</", pom)
    assert found, f"pom.xml has no property {name}"
    return found[1]


def digests_below(folder: Path) -> dict[str, str]:
    """Digest every file below a folder, by its path relative to the folder, in path order."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def check_pinned(pins: Pins, folder: Path) -> None:
    """Compare Maven's output folder with the pins, file by file.

    Raises EmbeddedError(NOT_AS_PINNED) naming the first file that differs, is missing or is not pinned.
    """
    found = digests_below(folder)
    for path in sorted(pins.digests.keys() | found.keys()):
        wanted, got = pins.digests.get(path), found.get(path)
        if wanted == got:
            continue
        if got is None:
            fault = "was not delivered"
        elif wanted is None:
            fault = "was delivered but is not pinned"
        else:
            fault = f"has sha256 {got}, pinned is {wanted}"
        raise EmbeddedError(Failure.NOT_AS_PINNED, f"{path} {fault}; {DIGESTS.name} lists what pom.xml may resolve to")
