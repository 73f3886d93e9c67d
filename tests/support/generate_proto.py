"""Generates the committed protobuf code from proto/: `python -m tests.support.generate_proto`, or `make proto`.

proto/tetragon becomes schemas/tetragon, proto/callstream becomes modules right under schemas. protoc writes imports
relative to the include root; here they are rewritten to where the modules live, because a package must not need its own
entry in sys.path. No service stubs are generated: a stream is one `channel.unary_stream` call, and stubs would pin
grpcio's version. Generating is a function of the .proto files and the pinned compiler alone, and
tests/contract/test_generated_code.py holds it to that.
"""

import re
import sys
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from grpc_tools import protoc

ROOT: Final = Path(__file__).resolve().parents[2]
PROTO_DIR: Final = ROOT / "proto"

PACKAGE_OF_FOLDER: Final = {"tetragon": "schemas.tetragon", "callstream": "schemas"}
"""Folder under proto/ to the Python package of its modules."""

_IMPORT: Final = re.compile(rf"^from ({'|'.join(PACKAGE_OF_FOLDER)}) import ", re.MULTILINE)
# protoc writes a bare Mapping, and an untyped **kwargs where a field is named like a keyword (`return`).
_STUB_HEADER: Final = '# mypy: disable-error-code="type-arg, no-untyped-def"\n'


class ProtocError(Exception):
    """protoc refused the .proto files; its own message is on stderr."""


def sources() -> list[str]:
    """All .proto files, relative to the include root, in a fixed order."""
    return sorted(path.relative_to(PROTO_DIR).as_posix() for path in PROTO_DIR.glob("*/*.proto"))


def generate() -> dict[Path, str]:
    """Path (relative to the project) to text of every generated module and stub. Raises ProtocError."""
    with TemporaryDirectory() as folder:
        output = Path(folder)
        includes = [f"--proto_path={PROTO_DIR}", f"--proto_path={files('grpc_tools') / '_proto'}"]
        status = protoc.main(["protoc", *includes, f"--python_out={output}", f"--pyi_out={output}", *sources()])
        if status:
            message = f"protoc ended with status {status}"
            raise ProtocError(message)
        return {
            _target(path.relative_to(output)): _relocate(path)
            for path in sorted(output.rglob("*_pb2.py*"))
            if path.suffix in {".py", ".pyi"}
        }


def committed() -> set[Path]:
    """The generated files that are there now, relative to the project."""
    folders = {ROOT / package.replace(".", "/") for package in PACKAGE_OF_FOLDER.values()}
    return {path.relative_to(ROOT) for folder in folders for path in folder.glob("*_pb2.py*")}


def _target(generated: Path) -> Path:
    package = PACKAGE_OF_FOLDER[generated.parts[0]]
    return Path(*package.split("."), *generated.parts[1:])


def _relocate(path: Path) -> str:
    text = _IMPORT.sub(lambda match: f"from {PACKAGE_OF_FOLDER[match[1]]} import ", path.read_text(encoding="utf-8"))
    return _STUB_HEADER + text if path.suffix == ".pyi" else text


def main() -> None:
    """Writes what `generate` gives and removes what it no longer gives."""
    generated = generate()
    for path in sorted(committed() - generated.keys()):
        (ROOT / path).unlink()
    for path, text in generated.items():
        (ROOT / path).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(generated)} files from {len(sources())} .proto files\n")


if __name__ == "__main__":
    main()
