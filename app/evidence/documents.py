"""Documents that prove themselves: JSON in one canonical form, with a digest of its own content inside.

Each value has exactly one text: keys sorted, no white space, UTF-8, one newline at the end. So after a change of any
bit, a document is not in this form or does not match its digest. Numbers are integers, because a float has several
texts. The field `digest` covers all fields but itself. A signature stands beside the document (attestation.py).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from app.files.replacing import replace_file
from app.operators.errors import OperatorError
from app.operators.regular_files import read_regular

DIGEST: Final = "digest"

MAX_DOCUMENT_BYTES: Final = 64 << 20
"""Above any document of ours: a manifest has some kilobytes, and some hundred bytes for each symbol index."""

MAX_SPANS_BYTES: Final = 1 << 30
"""Of a file of span lines: 300 bytes for 4,096 records, so ten thousand million records of one partition fit."""

MAX_DEPTH: Final = 32
"""No document of ours is nested deeper than 6."""

_ABSENT: Final = "(nothing)"


class DocumentError(OperatorError):
    """A file is not one of our documents, or was changed; the message names the file, and the place if it is known."""

    exit_code = 1


class Difference(NamedTuple):
    """Two documents at one place: `path` as in `inputs.partitions[2].digest`, values as JSON text."""

    path: str
    left: str
    right: str

    def __str__(self) -> str:
        return f"{self.path}: {self.left} is now {self.right}"


def canonical_text(value: Any) -> str:
    """The one text of a value.

    Raises TypeError for a float and for a key that is not a string, and ValueError for deep nesting.
    """
    _check(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def covered_bytes(document: Mapping[str, Any]) -> bytes:
    """The bytes that a document's digest covers."""
    return canonical_text({name: document[name] for name in document if name != DIGEST}).encode()


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the digest of its content."""
    return {**document, DIGEST: hashlib.sha256(covered_bytes(document)).hexdigest()}


def encode(document: Mapping[str, Any]) -> bytes:
    """A document as it stands in its file."""
    return (canonical_text(document) + "\n").encode()


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document, for its owner only; after a crash the file is whole or missing. Raises OSError."""
    replace_file(path, encode(document))


def read(path: Path) -> dict[str, Any]:
    """Read a document and prove that it is as it was written.

    Raises DocumentError for a file that is missing, changed, or not a document.
    """
    document = read_unproved(path)
    if document.get(DIGEST) != sealed(document)[DIGEST]:
        raise DocumentError(f"{path}: its content does not match its digest: it was changed")
    return document


def read_unproved(path: Path) -> dict[str, Any]:
    """Read a document in canonical form whose digest may be wrong, to find out where it was changed.

    Raises DocumentError.
    """
    try:
        content = read_regular(path, MAX_DOCUMENT_BYTES)
    except OSError as error:
        raise DocumentError(f"{path}: {error.strerror or error}") from None
    return of_bytes(content, str(path))


def of_bytes(content: bytes, name: str) -> dict[str, Any]:
    """A document out of the bytes of its file, whose digest may be wrong; `name` is for the message.

    Raises DocumentError.
    """
    try:
        document = json.loads(content)
        expected = encode(document) if isinstance(document, dict) else b""
    except UnicodeError:
        raise DocumentError(f"{name}: is not UTF-8: it was changed, or is not one of ours") from None
    except json.JSONDecodeError as error:
        raise DocumentError(f"{name}: is not JSON at byte {_byte_at(content, error.pos)}: {error.msg}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise DocumentError(f"{name}: is not one of our documents: {error}") from None
    if expected != content:
        where = next((i for i, (a, b) in enumerate(zip(content, expected, strict=False)) if a != b), len(expected))
        raise DocumentError(f"{name}: is not in canonical form from byte {where} on: it was changed")
    assert isinstance(document, dict)
    return document


def differences(left: Any, right: Any, path: str = "") -> Iterator[Difference]:
    """Every place where two JSON values differ, in the order of paths."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            inner = f"{path}.{name}" if path else name
            yield from differences(left.get(name, _Absent), right.get(name, _Absent), inner)
    elif isinstance(left, list) and isinstance(right, list):
        for index in range(max(len(left), len(right))):
            of_left, of_right = (side[index] if index < len(side) else _Absent for side in (left, right))
            yield from differences(of_left, of_right, f"{path}[{index}]")
    elif type(left) is not type(right) or left != right:
        yield Difference(path, _shown(left), _shown(right))


class _Absent:
    """Stands for a value that one side does not have."""


def _shown(value: Any) -> str:
    return _ABSENT if value is _Absent else json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def _byte_at(content: bytes, character: int) -> int:
    return len(content.decode(errors="replace")[:character].encode())


def _check(value: Any, depth: int = 0) -> None:
    """Raise TypeError for what has no single text: floats, keys that are not strings, types that JSON does not have."""
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    match value:
        case dict():
            for name, inner in value.items():
                if not isinstance(name, str):
                    raise TypeError(f"key {name!r} is not a string")
                _check(inner, depth + 1)
        case list() | tuple():
            for inner in value:
                _check(inner, depth + 1)
        case str() | bool() | int() | None:
            return
        case _:
            raise TypeError(f"a {type(value).__name__} has no canonical text")
