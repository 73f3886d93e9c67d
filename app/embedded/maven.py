"""Resolving pom.xml with the Maven of this machine.

Maven's own settings and local repository are used unchanged. A checksum that does not match ends the run. If the
machine has Maven but no Java for it, Maven runs on the bundled runtime.
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
"""Enough for 200 MB on a slow line; a Maven that takes longer hangs."""

SYSTEM_TRUST_STORES = (Path("/etc/ssl/certs/java/cacerts"), Path("/etc/pki/ca-trust/extracted/java/cacerts"))
"""Where Debian and Fedora keep the certificates that this machine trusts, in Java's format."""

_ARTIFACT = r"([A-Za-z0-9_.-]+(?::[A-Za-z0-9_.-]+){2,4})"
"""Maven's way to write an artifact: group:name:type[:classifier]:version."""

_CAUSES = (
    # the first sign that Maven's text shows is the root; the texts are Maven's and Java's own
    (r"PKIX path building failed", "the Java runtime does not trust the certificate of the server that has {}"),
    (r"Checksum validation failed", "the checksum of {} is wrong"),
    (rf"offline mode.*?{_ARTIFACT}", "{} is not in the local repository, and Maven is offline"),
    (
        rf"Could not find artifact {_ARTIFACT}|{_ARTIFACT} was not found",
        "{} is in no repository that Maven's settings name",
    ),
    (rf"Could not transfer artifact {_ARTIFACT}", "{} could not be downloaded"),
    (r"No space left on device", "the disk is full"),
)


def resolve(output: Path, *, log_file: Path) -> None:
    """Let Maven put everything that pom.xml pins below `output`, and its output into `log_file`.

    Raises EmbeddedError: NO_MAVEN, NO_JAVA, or MAVEN_FAILED with the artifact that is missing.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise EmbeddedError(
            Failure.NO_MAVEN,
            "Maven (mvn) is not on PATH: it is needed once, to fetch the embedded broker; install Maven",
        )
    command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "--update-snapshots", "--file", str(POM)]
    # --update-snapshots: also asks again for what was missing the last time, instead of remembering the failure
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
        said = log_file.read_text(encoding="utf-8", errors="replace")
        raise EmbeddedError(Failure.MAVEN_FAILED, f"Maven failed: {diagnose(said)}; all that it said is in {log_file}")


def _environment() -> dict[str, str]:
    """Our environment, with the bundled Java runtime for Maven if it would find none."""
    environment = dict(os.environ)
    if "JAVA_HOME" in environment or shutil.which("java") is not None:
        return environment
    environment["JAVA_HOME"] = str(java_home())
    options = environment.get("MAVEN_OPTS", "")
    trusted = next((path for path in SYSTEM_TRUST_STORES if path.exists()), None)
    if trusted is not None and "javax.net.ssl.trustStore" not in options:
        # a proxy's own authority is known to the machine, not to a runtime that came from elsewhere
        environment["MAVEN_OPTS"] = f"{options} -Djavax.net.ssl.trustStore={trusted}".strip()
    return environment


def diagnose(output: str) -> str:
    """Say in one phrase why Maven failed, from what it printed: the artifact and the cause, without addresses."""
    errors = [line.partition("[ERROR]")[2].strip() for line in output.splitlines() if "[ERROR]" in line]
    said = re.sub(r"https?://\S+", "<address>", " ".join(errors) or output.strip())
    for sign, cause in _CAUSES:
        found = re.search(sign, said)
        if found:
            named = re.search(rf"artifact {_ARTIFACT}", said)
            artifact = next(filter(None, found.groups()), named[1] if named else "an artifact of pom.xml")
            return cause.format(artifact)
    return said[:300] or "it printed nothing"
