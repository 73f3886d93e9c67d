"""Editions of a VEX document: the second export of the same things updates the first, under the same ids.

The document before is read as it was written, whoever has had it since. An edition has the document's id, and a version
that grows when what it says changes; what it says without its times. A statement keeps the time at which its status
was first said. Where nothing changed, the new edition is the old one, byte for byte.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from app.operators.errors import OperatorError
from app.operators.regular_files import read_regular_text

MAX_VEX_BYTES: Final = 256 << 20
"""Some kilobytes for each vulnerability and file."""

Statement = dict[str, Any]


class PreviousVexError(OperatorError):
    """The document before cannot be updated; the message names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Whose word a document is: the author, a URL of theirs where a format asks for one, and the tool."""

    author: str
    namespace: str
    tool: str
    tool_version: str


@dataclass(frozen=True, slots=True)
class PreviousVex:
    """The document before."""

    path: Path
    document: Mapping[str, Any]

    def at(self, kind: type, *names: str) -> Any:
        """A field of this type. Raises PreviousVexError."""
        found: Any = self.document
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        if not isinstance(found, kind) or isinstance(found, bool):
            raise PreviousVexError(
                f"{self.path}: is not a document of this format that can be updated: {'.'.join(names)}"
            )
        return found

    def by_id(self, id_name: str, *names: str) -> dict[str, Statement]:
        """The objects of a list, by their ids. Raises PreviousVexError."""
        found = self.at(list, *names)
        for one in found:
            if not isinstance(one, dict) or not isinstance(one.get(id_name), str):
                raise PreviousVexError(
                    f"{self.path}: one of {'.'.join(names)} has no {id_name}, so it is not one of ours"
                )
        return {one[id_name]: one for one in found}


def read_previous(path: Path | None) -> PreviousVex | None:
    """The document before; None where there is none. Raises PreviousVexError."""
    if path is None:
        return None
    try:
        document = json.loads(read_regular_text(path, MAX_VEX_BYTES))
    except OSError as error:
        raise PreviousVexError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise PreviousVexError(f"{path}: is not JSON") from None
    return PreviousVex(path, document)


def document_uuid(form: str, author: str, entries: Iterable[object], now: str) -> str:
    """The id of a first edition: of its author, its time and what it says."""
    digest = hashlib.sha256(repr((form, author, now, list(entries))).encode()).hexdigest()
    return str(uuid5(NAMESPACE_URL, f"callstream vex {digest}"))


def statement_uuid(document_id: str, vulnerability: str, product: str) -> str:
    """The id of what a document says of a vulnerability and a product, in all of its editions."""
    return str(uuid5(NAMESPACE_URL, f"{document_id} {vulnerability} {product}"))


def without(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """An object without these fields."""
    left_out = set(names)
    return {name: value for name, value in document.items() if name not in left_out}
