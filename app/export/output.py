"""Where an export goes: standard output, or a file that appears whole or not at all.

A file is written beside its place under another name, and moved when it is complete.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from app.files.replacing import BY_UMASK, replacing


@contextmanager
def output(path: Path | None) -> Iterator[BinaryIO]:
    """Somewhere to write bytes to; None is standard output. An exception inside leaves no file.

    Raises OSError if it cannot be written.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with replacing(path, BY_UMASK, partial=partial) as file:  # what is exported has passed the privacy filter
        yield file
