"""VEX documents out of verdicts, in three formats, each as an edition of the one before."""

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from app.evidence.keys import load_private_key
from app.export.vex_file import VexFile
from app.export.vex_output import write_signed_vex, write_vex
from app.operators.times import time_text
from app.vulnerabilities.csaf_form import csaf_form, csaf_pairs
from app.vulnerabilities.cyclonedx_form import cyclonedx_form, cyclonedx_pairs
from app.vulnerabilities.openvex_form import openvex_form, openvex_pairs
from app.vulnerabilities.vex_editions import PreviousVex, PreviousVexError, Publisher, read_previous
from app.vulnerabilities.vex_entries import VexEntry, vex_entries
from app.vulnerabilities.watching import FileStatus


class VexFormat(enum.StrEnum):
    """What a document may be."""

    OPENVEX = "openvex"
    CYCLONEDX = "cyclonedx"
    CSAF = "csaf"


_Form = Callable[[Sequence[VexEntry], Publisher, str, PreviousVex | None], dict[str, Any]]
_Pairs = Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]
_FORMS: Final[Mapping[VexFormat, tuple[_Form, _Pairs]]] = {
    VexFormat.OPENVEX: (openvex_form, openvex_pairs),
    VexFormat.CYCLONEDX: (cyclonedx_form, cyclonedx_pairs),
    VexFormat.CSAF: (csaf_form, csaf_pairs),
}


@dataclass(frozen=True, slots=True)
class VexOrder:
    """What is to be written where; `key` is the file of a key, `previous` that of the document before."""

    form: VexFormat
    to: Path
    previous: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class VexWritten:
    """What was written. `no_longer_said` are vulnerabilities and products of which only the document before speaks."""

    statements: int
    is_changed: bool
    no_longer_said: tuple[tuple[str, str], ...]


def write_verdicts(order: VexOrder, file: VexFile, found: Iterable[FileStatus], now_ns: int) -> VexWritten | None:
    """Write the document; None if there is nothing to say, for a document without statements is none.

    Raises PreviousVexError, NoNamespaceError, KeyFileError, OSError.
    """
    key = None if order.key is None else load_private_key(order.key)
    previous = read_previous(order.previous)
    entries = vex_entries(found, file)
    if not entries:
        return None
    form, pairs = _FORMS[order.form]
    publisher = Publisher(file.author, file.namespace, "callstream", version("callstream"))
    document = form(entries, publisher, time_text(now_ns), previous)
    gone = set() if previous is None else _pairs_of(previous, pairs) - set(pairs(document))
    if key is None:
        write_vex(order.to, document)
    else:
        hashed = ((one.product.iri, one.product.sha256) for one in entries if one.product.sha256)
        write_signed_vex(order.to, document, key, hashed)
    is_changed = previous is None or document != previous.document
    return VexWritten(len(entries), is_changed, tuple(sorted(gone)))


def _pairs_of(previous: PreviousVex, pairs: _Pairs) -> set[tuple[str, str]]:
    try:
        return set(pairs(previous.document))
    except (KeyError, TypeError, AttributeError, IndexError):
        raise PreviousVexError(f"{previous.path}: its statements are not as this format has them") from None
