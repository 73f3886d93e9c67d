"""Runs all benchmarks one after another, each in a process of its own, and leaves their results in bench/results.

`python -m bench` runs all; `python -m bench stages pipeline` runs those. The soak (`python -m bench.soak`) is not among
them: it takes twenty minutes.
"""

import subprocess
import sys
from typing import Final

ALL: Final = (
    "simulator",
    "privacy",
    "audit",
    "symbols",
    "ingest",
    "faust_transport",
    "stages",
    "pipeline",
    "latency",
    "hot_symbols",
    "hot_symbols_scale",
    "fleet",
    "replay",
    "export",
    "dead_letters",
)
"""Fast parts first, so that a mistake shows early."""


def main() -> None:
    """Run what the command line names, or all; ends with the number of those that failed."""
    chosen = sys.argv[1:] or list(ALL)
    unknown = set(chosen) - set(ALL)
    if unknown:
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    failed = [
        name for name in chosen if subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode
    ]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
