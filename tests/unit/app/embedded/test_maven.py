"""What is said when Maven cannot do its work, with scripts in Maven's place."""

from pathlib import Path

import pytest

from app.embedded import maven
from app.embedded.failures import EmbeddedError, Failure
from app.embedded.java import java_home
from app.embedded.pins import POM

_TRANSFER = (
    "[ERROR] Plugin could not be resolved: Could not transfer artifact org.acme:jar-plugin:pom:1.2 from/to central"
)
_CHECKSUM = (
    "[ERROR] Failed to execute goal: Could not resolve dependencies for project callstream:embedded:pom:1:"
    " Could not transfer artifact org.acme:broker:jar:1.0 from/to m (https://repo.example.test/m2): Checksum validation"
    " failed, expected 1 but is 2 -> [Help 1]"
)


@pytest.mark.parametrize(
    ("output", "phrase"),
    [
        (f"{_TRANSFER} (https://repo.example.test/m2): refused", "org.acme:jar-plugin:pom:1.2 could not be downloaded"),
        (_CHECKSUM, "the checksum of org.acme:broker:jar:1.0 is wrong"),
        (
            "[ERROR] for project callstream:embedded:pom:1: Could not find artifact org.acme:broker:jar:9 in central (https://x.test)",
            "org.acme:broker:jar:9 is in no repository that Maven's settings name",
        ),
        (
            "[ERROR] project callstream:embedded:pom:1: org.acme:broker:jar:9 was not found in https://x.test",
            "org.acme:broker:jar:9 is in no repository that Maven's settings name",
        ),
        (
            "[ERROR] Cannot access central (https://x.test) in offline mode and the artifact org.acme:p:jar:3 is new",
            "org.acme:p:jar:3 is not in the local repository, and Maven is offline",
        ),
        (
            f"{_TRANSFER} (https://x.test): (certificate_unknown) PKIX path building failed: no path",
            "the Java runtime does not trust the certificate of the server that has org.acme:jar-plugin:pom:1.2",
        ),
        ("[ERROR] write: No space left on device", "the disk is full"),
        ("[ERROR] something new at https://user:word@x.test/m2", "something new at <address>"),
        ("The JAVA_HOME environment variable is not defined", "The JAVA_HOME environment variable is not defined"),
        ("", "it printed nothing"),
    ],
)
def test_a_failure_is_told_in_one_phrase_with_the_artifact(output: str, phrase: str) -> None:
    """The artifact and the cause are named, and no address or the credentials in it."""
    assert maven.diagnose(output) == phrase


def _install(folder: Path, script: str) -> None:
    program = folder / "mvn"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_machine_without_maven_is_told_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PATH has no mvn, the message says what is missing and what for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedError, match=r"Maven \(mvn\) is not on PATH") as caught:
        maven.resolve(tmp_path / "out", log_file=tmp_path / "maven.log")
    assert caught.value.reason is Failure.NO_MAVEN


def test_a_failing_maven_is_reported_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The phrase and the place of everything Maven said are in the message."""
    _install(tmp_path, "echo '[ERROR] Could not find artifact org.acme:broker:jar:9 in central'; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    log_file = tmp_path / "maven.log"
    with pytest.raises(EmbeddedError, match=rf"org\.acme:broker:jar:9.*{log_file}") as caught:
        maven.resolve(tmp_path / "out", log_file=log_file)
    assert caught.value.reason is Failure.MAVEN_FAILED
    assert "org.acme:broker:jar:9" in log_file.read_text()


def test_maven_checks_checksums_and_gets_the_pinned_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strict checksums are asked for, and the project is the committed pom.xml."""
    _install(tmp_path, f'echo "$@" > {tmp_path}/arguments')
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    maven.resolve(tmp_path / "out", log_file=tmp_path / "maven.log")
    arguments = (tmp_path / "arguments").read_text().split()
    assert "--strict-checksums" in arguments
    assert arguments[arguments.index("--file") + 1] == str(POM)
    assert f"-Dcallstream.out={tmp_path / 'out'}" in arguments


def test_maven_runs_on_the_bundled_java_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without java on PATH and without JAVA_HOME, the runtime and the machine's certificates are passed."""
    _install(tmp_path, f'echo "$JAVA_HOME|$MAVEN_OPTS" > {tmp_path}/seen')
    store = tmp_path / "cacerts"
    store.touch()
    monkeypatch.setattr(maven, "SYSTEM_TRUST_STORES", (tmp_path / "missing", store))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("MAVEN_OPTS", "-Xmx200m")
    maven.resolve(tmp_path / "out", log_file=tmp_path / "maven.log")
    seen = (tmp_path / "seen").read_text().strip()
    assert seen == f"{java_home()}|-Xmx200m -Djavax.net.ssl.trustStore={store}"


def test_a_java_that_the_user_chose_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JAVA_HOME wins over the bundled runtime."""
    _install(tmp_path, f'echo "$JAVA_HOME|$MAVEN_OPTS" > {tmp_path}/seen')
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", "/opt/java")
    monkeypatch.delenv("MAVEN_OPTS", raising=False)
    maven.resolve(tmp_path / "out", log_file=tmp_path / "maven.log")
    assert (tmp_path / "seen").read_text().strip() == "/opt/java|"
