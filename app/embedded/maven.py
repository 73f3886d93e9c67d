"""Resolving pom.xml with the Maven of this machine.

Rules: Maven's own settings and local repository are used as they are; checksums that do not match end the run. Where
the machine has Maven but no Java for it, Maven runs on the bundled runtime. This module refuses to know what the
artifacts are for.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from app.embedded.failures import EmbeddedError, Failure
from app.embedded.java import java_home
from app.embedded.pins import POM

LIMIT_SECONDS = 1800
"""Some 200 MB on a slow line; a Maven that takes longer hangs."""

_ARTIFACT = re.compile(r"\b[A-Za-z0-9_.-]+(?::[A-Za-z0-9_.-]+){2,4}\b")
"""Maven's way to write an artifact: group:name:type[:classifier]:version."""


def resolve(output: Path, *, log_file: Path) -> None:
    """Have Maven put everything that pom.xml pins below `output`, writing what Maven says to `log_file`.

    Raises EmbeddedError: NO_MAVEN, NO_JAVA, or MAVEN_FAILED with the artifact that could not be had.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise EmbeddedError(
            Failure.NO_MAVEN,
            "Maven (mvn) is not on PATH: it is needed once, to fetch the embedded broker; install Maven",
        )
    command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(POM)]
    command += [f"-Dcallstream.out={output}", "package"]
    with log_file.open("wb") as log:
        try:
            code = subprocess.run(
                command,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=LIMIT_SECONDS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise EmbeddedError(
                Failure.MAVEN_FAILED, f"Maven was still running after {LIMIT_SECONDS} s and was ended; see {log_file}"
            ) from None
    if code != 0:
        output_text = log_file.read_text(encoding="utf-8", errors="replace")
        raise EmbeddedError(Failure.MAVEN_FAILED, f"Maven failed: {diagnose(output_text)}; all of it is in {log_file}")


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    if "JAVA_HOME" not in environment and shutil.which("java") is None:
        environment["JAVA_HOME"] = str(java_home())
    return environment


def diagnose(output: str) -> str:
    """Say in one phrase why Maven failed, from what it printed: the artifact and the cause, without addresses."""
    errors = [line.partition("[ERROR]")[2].strip() for line in output.splitlines() if "[ERROR]" in line]
    text = " ".join(errors) or output.strip()
    artifact = _ARTIFACT.search(re.sub(r"https?://\S+", "", text))
    name = artifact[0] if artifact else "an artifact of pom.xml"
    causes = (
        ("Checksum validation failed", f"the checksum of {name} is wrong"),
        ("Could not find artifact", f"{name} is not in any repository that Maven's settings name"),
        ("Could not transfer", f"{name} could not be downloaded"),
        ("offline mode", f"{name} is not in the local repository and Maven is offline"),
        ("No space left", "the disk is full"),
    )
    for sign, cause in causes:
        if sign in text:
            return cause
    return re.sub(r"https?://\S+", "<address>", errors[0] if errors else text[:300] or "it printed nothing")
