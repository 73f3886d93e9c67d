"""Whether everything that a verification needs is at hand. If not, nobody can tell whether the run is as it was."""

from pathlib import Path
from typing import Final

from app.evidence.archive import ARCHIVE_FILE, RECORDING_FILE
from app.replay.manifest import Manifest
from app.replay.request import ReplayError, ReplayRequest
from app.replay.sources import ARCHIVE
from app.symbols.snapshot import is_store, snapshot_path

_CANNOT_TELL: Final = "cannot tell"


def find_manifest(path: Path) -> None:
    """Raises ReplayError where there is no manifest."""
    if not path.exists():
        raise ReplayError(f"{_CANNOT_TELL}: {path}: No such file or directory")


def find_evidence(manifest: Manifest, request: ReplayRequest, folder: Path) -> None:
    """Raises ReplayError where the archive, or the snapshot of the symbol store, of the run in `folder` is missing."""
    _find_archive(manifest, request, folder)
    _find_snapshot(manifest, request)


def _find_archive(manifest: Manifest, request: ReplayRequest, folder: Path) -> None:
    if manifest.origin.kind != ARCHIVE and request.archive is None:
        return
    archive = request.archive or folder / (manifest.origin.path or "")
    if not any((archive / name).exists() for name in (ARCHIVE_FILE, RECORDING_FILE)):
        raise ReplayError(f"{_CANNOT_TELL}: no archive at {archive}; say with --archive where it is")


def _find_snapshot(manifest: Manifest, request: ReplayRequest) -> None:
    wanted, store = manifest.configuration.symbols, request.settings.symbol_store_dir
    if wanted is None:
        return
    if store is None:
        raise ReplayError(
            f"{_CANNOT_TELL}: the run was made with snapshot {wanted} of a symbol store; say with --symbols where it is"
        )
    if not is_store(store):
        raise ReplayError(f"{_CANNOT_TELL}: no symbol store at {store}; say with --symbols where it is")
    if not snapshot_path(store, wanted).exists():
        raise ReplayError(f"{_CANNOT_TELL}: the symbol store at {store} has no snapshot {wanted}")
