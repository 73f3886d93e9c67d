"""Files that anybody may have made: opened only if they are regular, and read only up to a size.

A pipe or a device would hold the process up, or never end.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading bytes. Raises OSError, also for a pipe, a socket, a device and a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not wait for its writer
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "is not a regular file", str(path))


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The content of a file of at most `most_bytes`. Raises OSError, also for a larger file."""
    with open_regular(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"has more than {most_bytes:,} bytes", str(path))
    return content


def read_regular_text(path: Path, most_bytes: int) -> str:
    """The text of a file of at most `most_bytes` in UTF-8. Raises OSError and UnicodeDecodeError."""
    return read_regular(path, most_bytes).decode()
