"""The fetched broker on disk: fetched once, verified, then used without a network.

The pins' fingerprint names the folder. It appears complete in one step, after every file matched its pinned digest.
Fetching for new pins removes the folder of old ones. In a checkout it is in `.cache/embedded`, which `git clean`
removes; an installed program uses the user's cache folder.
"""

import fcntl
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.embedded.data_dir import require_space
from app.embedded.maven import resolve
from app.embedded.pins import KAFKA_FOLDER, REGISTRY_ARCHIVE, Pins, check_pinned, read_pins

NEEDED_BYTES = 700 << 20
"""Maven's copy of everything, the archive beside what it unpacks to, and some room."""

_STAMP = "complete.json"


@dataclass(frozen=True, slots=True)
class Artifacts:
    """What was fetched: `kafka_jars` holds the broker's jars, `registry_home` the unpacked registry."""

    kafka_jars: Path
    registry_home: Path
    pins: Pins
    start_caches: Path
    """See `start_caches.py`; nothing lies there where nobody made them."""
    records_starts: bool = False
    """Whether programs that end write what they know of their start."""


def cache_dir() -> Path:
    """Folder that keeps what was fetched: in the checkout this runs from, else in the user's cache."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file() and os.access(checkout, os.W_OK):
        return checkout / ".cache" / "embedded"
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "callstream" / "embedded"


def ensure(report: Callable[[str], None], *, cache: Path | None = None) -> Artifacts:
    """Return the verified artifacts; fetch them first if they are missing.

    `report` gets a sentence about each slow step. Raises EmbeddedError: NO_MAVEN, NO_JAVA, MAVEN_FAILED,
    NOT_AS_PINNED, NO_SPACE.
    """
    cache = cache or cache_dir()
    pins = read_pins()
    home = cache / pins.fingerprint
    if not _is_complete(home):
        cache.mkdir(parents=True, exist_ok=True)
        with _only_one(cache / "lock", report):
            if not _is_complete(home):
                report(
                    f"fetching Apache Kafka {pins.kafka_version} and Apicurio Registry {pins.registry_version}, once"
                )
                _fetch(pins, cache, home)
    return Artifacts(
        kafka_jars=home / KAFKA_FOLDER,
        registry_home=home / "registry",
        pins=pins,
        start_caches=cache / f"{pins.fingerprint}-starts",
    )


def _fetch(pins: Pins, cache: Path, home: Path) -> None:
    require_space(cache, NEEDED_BYTES, "fetching takes")
    partial = cache / f"{home.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    resolve(partial, log_file=cache / "maven.log")
    check_pinned(pins, partial)
    archive = partial / REGISTRY_ARCHIVE
    with tarfile.open(archive) as members:
        # Python has `data_filter` from 3.11.4 on; before, the archive's pinned digest alone says what is unpacked
        members.extraction_filter = getattr(tarfile, "data_filter", None)
        members.extractall(partial / "registry")  # noqa: S202 - the archive is the pinned one, and filtered where it can be
    archive.unlink()
    (partial / _STAMP).write_text(json.dumps(_sizes(partial)), encoding="utf-8")
    shutil.rmtree(home, ignore_errors=True)
    partial.rename(home)
    for other in cache.iterdir():
        if other.is_dir() and other != home:
            shutil.rmtree(other, ignore_errors=True)


def _is_complete(home: Path) -> bool:
    """Compare names and sizes with the stamp: the contents were verified when they were fetched."""
    try:
        stamp = json.loads((home / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(stamp == _sizes(home))


def _sizes(home: Path) -> dict[str, int]:
    files = (path for path in home.rglob("*") if path.is_file() and path.name != _STAMP)
    return {path.relative_to(home).as_posix(): path.stat().st_size for path in files}


@contextmanager
def _only_one(lock: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Let one process fetch; the others wait and then find everything."""
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another process is fetching the embedded broker; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
