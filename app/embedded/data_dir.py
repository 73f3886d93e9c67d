"""The folder that holds everything the embedded broker keeps: topics, schemas, logs of both servers.

One broker at a time uses a folder. The servers inherit the lock's descriptor, so the lock is held while any of them
lives. A folder that this program did not make is refused, and so is a folder of a newer Kafka or registry, because this
version might damage it. Only the owner may read the folder: it holds raw events.
"""

import base64
import fcntl
import json
import logging
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from app.embedded.failures import EmbeddedError, Failure
from app.embedded.pins import Pins
from app.files.folders import make_private
from app.files.replacing import replace_file

log = logging.getLogger(__name__)

NEEDED_BYTES = 512 << 20
"""Room to start with: when its disk is full, Kafka stops and does not go on."""

LOCK_WAIT_SECONDS = 5
"""How long the servers of a killed broker may take to end before the folder counts as locked."""

_LAYOUT = 1
_MARKER = "callstream-broker.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """Versions that made the folder; `cluster_id` is Kafka's, 22 characters."""

    layout: int
    kafka: str
    registry: str
    cluster_id: str


class DataDir:
    """An opened and locked data folder; `close` releases it."""

    def __init__(self, root: Path, pins: Pins) -> None:
        """Open, or make, the folder.

        Raises EmbeddedError: DATA_DIR_LOCKED, DATA_DIR_INCOMPATIBLE, NO_SPACE.
        """
        self.root = root.resolve()
        try:
            trouble = make_private(self.root)
            self._lock = os.open(self.root / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise EmbeddedError(
                Failure.DATA_DIR_INCOMPATIBLE, f"data folder {self.root} cannot be used: {error.strerror}"
            ) from None
        if trouble is not None:
            log.warning("%s", trouble)
        try:
            self._take_lock()
            self.marker = self._check_marker(pins)
            require_space(self.root, NEEDED_BYTES, "the broker needs")
        except BaseException:
            self.close()
            raise
        shutil.rmtree(self.root / "tmp", ignore_errors=True)
        (self.root / "logs").mkdir(mode=0o700, exist_ok=True)

    @property
    def descriptor(self) -> int:
        """The lock's file descriptor, for the servers to inherit."""
        return self._lock

    def log_file(self, name: str) -> Path:
        """Where the server of this name logs."""
        return self.root / "logs" / f"{name}.log"

    def close(self) -> None:
        """Release the folder; it stays locked while a server still runs."""
        os.close(self._lock)

    def _take_lock(self) -> None:
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip()
                if time.monotonic() > deadline or _alive(holder):
                    raise EmbeddedError(
                        Failure.DATA_DIR_LOCKED,
                        f"data folder {self.root} is used by another broker"
                        f" (started by process {holder or 'unknown'}); stop it or choose another --data-dir",
                    ) from None
                time.sleep(0.05)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _check_marker(self, pins: Pins) -> Marker:
        path = self.root / _MARKER
        if not path.exists():
            names = sorted(entry.name for entry in self.root.iterdir())
            strange = [name for name in names if name != "lock" and not name.startswith(_MARKER)]
            if strange:
                raise EmbeddedError(
                    Failure.DATA_DIR_INCOMPATIBLE,
                    f"data folder {self.root} holds {strange[0]}, which is not a broker's; choose an empty one",
                )
            cluster_id = new_cluster_id()
        else:
            cluster_id = self._compatible_cluster_id(path, pins)
        marker = Marker(layout=_LAYOUT, kafka=pins.kafka_version, registry=pins.registry_version, cluster_id=cluster_id)
        replace_file(path, f"{json.dumps(asdict(marker))}\n".encode("ascii"))
        return marker

    def _compatible_cluster_id(self, path: Path, pins: Pins) -> str:
        try:
            found = Marker(**json.loads(path.read_text(encoding="ascii")))
            newer = _numbers(found.kafka) > _numbers(pins.kafka_version)
            newer |= _numbers(found.registry) > _numbers(pins.registry_version)
        except (ValueError, TypeError):
            raise EmbeddedError(
                Failure.DATA_DIR_INCOMPATIBLE, f"{path} cannot be read; remove {self.root} or choose another --data-dir"
            ) from None
        if found.layout != _LAYOUT or newer:
            raise EmbeddedError(
                Failure.DATA_DIR_INCOMPATIBLE,
                f"data folder {self.root} was made by Kafka {found.kafka} and registry {found.registry} (layout"
                f" {found.layout}), and this is Kafka {pins.kafka_version} and registry {pins.registry_version} (layout"
                f" {_LAYOUT}); choose another --data-dir",
            )
        return found.cluster_id


def require_space(folder: Path, needed_bytes: int, use: str) -> None:
    """Raise EmbeddedError(NO_SPACE) if the folder's disk has less room; `use` says who takes it."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise EmbeddedError(
            Failure.NO_SPACE,
            f"not enough disk: {use} {needed_bytes >> 20} MiB in {folder}, {free >> 20} MiB are free",
        )


def new_cluster_id() -> str:
    """Random Kafka cluster id: 16 bytes in URL-safe base64, not beginning with a dash as options do."""
    while True:
        text = base64.urlsafe_b64encode(os.urandom(16)).decode("ascii").rstrip("=")
        if not text.startswith("-"):
            return text


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
