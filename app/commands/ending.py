"""How the commands of this package end when they cannot do what was asked: one message, and an exit code.

This module refuses to know what was asked.
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Final

import click

from app.evidence.documents import DocumentError
from app.evidence.signing import KeyFileError
from app.kafka.client import KafkaUnreachable, KafkaUnusable
from app.kafka.positions import PositionError
from app.kafka.records import DamagedError
from app.kafka.registry import RegistryError
from app.privacy.load import PrivacyConfigError
from app.replay.recorder import FolderInUseError
from app.replay.replay_run import ReplayError
from app.replay.run_diff import DifferentInputError
from app.steps import PolicyHooksError
from app.symbols.snapshot import SymbolStoreError

NOT_PROVED: Final = 1
"""Evidence is not what it should be, or two runs differ."""

CANNOT: Final = 2
"""Wrong options or settings, or a server that cannot be asked: nothing is said about evidence."""

INTERRUPTED: Final = 130
"""As shells report a SIGINT."""

_REFUSED: Final = (
    KafkaUnreachable,
    KafkaUnusable,
    PolicyHooksError,
    PrivacyConfigError,
    RegistryError,
    PositionError,
    FolderInUseError,
    ReplayError,
    DifferentInputError,
    KeyFileError,
    SymbolStoreError,
    OSError,
)


@contextlib.contextmanager
def ends_with(command: str) -> Iterator[None]:
    """End the command `command` with a message and its exit code, where what is inside fails as foreseen."""
    try:
        yield
    except (DamagedError, DocumentError) as error:
        _end(command, error, NOT_PROVED)
    except _REFUSED as error:
        _end(command, error, CANNOT)
    except KeyboardInterrupt:
        _end(command, "interrupted", INTERRUPTED)


def _end(command: str, reason: object, code: int) -> None:
    click.echo(f"callstream {command}: {reason}", err=True)
    sys.exit(code)
