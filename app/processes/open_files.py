"""How many files a process may have open: as many as it is allowed, not as many as it gets by default."""

import contextlib
import resource
from typing import Final

ENOUGH: Final = 65_536
"""RocksDB keeps up to 256 files open for each partition of a table, a symbol store keeps 256, and a client one for each
broker."""


def raise_file_limit() -> None:
    """Raise the soft limit, mostly 1,024, towards the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
