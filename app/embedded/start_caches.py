"""What Java learned at one start of a server, with which later starts take half the CPU.

Java writes the classes that a program has loaded into a file when the program ends (JEP 483 and 514, from Java 25 on),
and maps that file when the program starts again. It passes over a file that another Java made, or that is of another
class path. Without these files the servers start as they always did.
"""

from typing import Final

from app.embedded.artifacts import Artifacts
from app.embedded.jvm import STOP_SECONDS

_WRITING_SECONDS: Final = 180
"""For Java to write a file at the end of a program: some ten seconds on a machine with nothing else to do."""

_ONLY_CLASSES: Final = ("-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching", "-XX:-AOTStubCaching")
"""Java 25 does not find some of the machine code that it wrote, and says so at every start."""


def start_options(artifacts: Artifacts, program: str) -> tuple[str, ...]:
    """Java's options for the cache of a program: to write it, to use it, or none where it was not made."""
    file = artifacts.start_caches / f"{program}.aot"
    if artifacts.records_starts:
        return (*_ONLY_CLASSES, f"-XX:AOTCacheOutput={file}")
    return (*_ONLY_CLASSES, f"-XX:AOTCache={file}") if file.is_file() else ()


def stop_seconds(artifacts: Artifacts) -> int:
    """How long a program may take to end: longer where it writes its cache then."""
    return _WRITING_SECONDS if artifacts.records_starts else STOP_SECONDS
