"""The stage of bench.stages in other languages: Go with franz-go, and Java with Kafka Streams.

Their sources are in bench/go_stage and bench/streams_stage, and protobuf's code is made of proto/. Each is built once
for each state of all that, in .cache/builds. Go and Maven fetch what go.sum and pom.xml name.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from bench.builds import CACHE, ROOT

SCHEMA: Final = ROOT / "schemas" / "avro" / "runtime_call_event.avsc"
"""Of what these stages write: canonicalize has a form of its own between the stages, and strangers would use Avro."""

_GO: Final = ROOT / "bench" / "go_stage"
_STREAMS: Final = ROOT / "bench" / "streams_stage"
_PROTO: Final = ROOT / "proto"
_INCLUDES: Final = (f"--proto_path={_PROTO}", f"--proto_path={files('grpc_tools') / '_proto'}")
_PROTOS: Final = ("tetragon/arguments.proto", "tetragon/events.proto", "tetragon/process.proto")
_PLATFORM: Final = {"aarch64": "linux-aarch_64"}.get(platform.machine(), "linux-x86_64")
_MODULE: Final = "callstream.bench/go-stage"
_DONE: Final = ".made"


@dataclass(frozen=True, slots=True)
class Contest:
    """What a stage is to do: read so many events of a topic and write to another. Events repeat from the lap on."""

    servers: str
    topic: str
    output: str
    group: str
    events: int
    lap: int


Command = Callable[[Contest], Sequence[str]]
"""The command line for a contest."""


def go_stage() -> Command | None:
    """The stage in Go; None where there is no Go. Raises CalledProcessError if it cannot be built."""
    if shutil.which("go") is None:
        return None
    program = _built("go-stage", _GO, _build_go) / "go-stage"

    def command(one: Contest) -> Sequence[str]:
        places = (one.servers, one.topic, one.output, one.group, str(SCHEMA))
        return [str(program), *places, str(one.events), str(one.lap)]

    return command


def streams_stage() -> Command | None:
    """The stage on Kafka Streams; None where there is no Maven or no Java compiler. Raises as `go_stage`."""
    if shutil.which("mvn") is None or shutil.which("javac") is None:
        return None
    folder = _built("streams-stage", _STREAMS, _build_streams)

    def command(one: Contest) -> Sequence[str]:
        path = f"{folder / 'classes'}:{folder / 'jars'}/*"
        places = (one.servers, one.topic, one.output, one.group)
        return ["java", "-cp", path, "callstream.StreamsStage", *places, str(one.events), str(one.lap)]

    return command


def _built(name: str, source: Path, build: Callable[[Path], None]) -> Path:
    """The folder of a program that is built of these sources."""
    inputs = [path for folder in (source, _PROTO / "tetragon") for path in sorted(folder.rglob("*")) if path.is_file()]
    content = b"".join(path.read_bytes() for path in (*inputs, SCHEMA))
    folder = CACHE / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    if not (folder / _DONE).exists():
        print(f"building {name}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        build(folder)
        (folder / _DONE).touch()
    return folder


def _build_go(folder: Path) -> None:
    plugin = folder / "protoc-gen-go"
    _run("go", "build", "-o", str(plugin), "google.golang.org/protobuf/cmd/protoc-gen-go", cwd=folder)
    places = [f"--go_opt=M{name}={_MODULE}/tetragon" for name in _PROTOS]
    output = [f"--plugin=protoc-gen-go={plugin}", f"--go_out={folder}", f"--go_opt=module={_MODULE}", *places]
    _run(sys.executable, "-m", "grpc_tools.protoc", *_INCLUDES, *output, *_PROTOS, cwd=ROOT)
    _run("go", "build", "-o", "go-stage", ".", cwd=folder)


def _build_streams(folder: Path) -> None:
    jars, made, classes = folder / "jars", folder / "made", folder / "classes"
    for one in (made, classes):
        one.mkdir()
    target = (f"-DoutputDirectory={jars}", f"-Dprotoc.platform={_PLATFORM}")
    _run("mvn", "-q", "-B", "-Dstyle.color=never", "dependency:copy-dependencies", *target, cwd=folder)
    [protoc] = jars.glob("protoc-*.exe")
    protoc.chmod(0o755)
    _run(str(protoc), *_INCLUDES, f"--java_out={made}", *_PROTOS, cwd=ROOT)
    sources = folder / "src" / "main" / "java" / "callstream"
    with_jars = ("-cp", f"{jars}/*")
    _run("java", *with_jars, str(sources / "MakeRecords.java"), str(SCHEMA), str(made), cwd=folder)
    found = [str(path) for root in (sources, made) for path in sorted(root.rglob("*.java"))]
    _run("javac", *with_jars, "-nowarn", "-d", str(classes), *found, cwd=folder)


def _run(*command: str, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True)
