"""How a VEX document is written: as JSON that a person reads, and with a key, a signed statement beside it.

`X.dsse.json` beside `X.json` is a DSSE envelope of an in-toto statement whose predicate is the OpenVEX document, and
`X.tsq` a query for a time-stamp over its signature (`app/evidence`). Its subjects are the document, then every product
that has a digest, so that who has an image or a file finds the statement by that.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.evidence import attestation, time_stamps
from app.export.output import output
from app.operators.escaping import escaped

PREDICATE_TYPE: Final = "https://openvex.dev/ns/v0.2.0"


def vex_text(document: Mapping[str, Any]) -> bytes:
    """The bytes of a document's file."""
    lines = json.dumps(document, ensure_ascii=False, indent=2).split("\n")
    return "".join(escaped(line) + "\n" for line in lines).encode()


def write_vex(to: Path | None, document: Mapping[str, Any]) -> None:
    """Write a document; None is standard output. Raises OSError."""
    _write(to, vex_text(document))


def write_signed_vex(
    to: Path, document: Mapping[str, Any], key: Ed25519PrivateKey, products: Iterable[tuple[str, str]] = ()
) -> None:
    """Write an OpenVEX document with its envelope and the query for a time-stamp; `products` are names and SHA-256.

    They come first: nobody ever sees a document that is going to be signed without its signature. Raises OSError.
    """
    content = vex_text(document)
    named = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(set(products))]
    subjects = [attestation.subject(to.name, content), *named]
    envelope, signature = attestation.signed(attestation.statement(subjects, PREDICATE_TYPE, document), key)
    _write(attestation.envelope_path(to), envelope)
    _write(to.with_suffix(time_stamps.QUERY_SUFFIX), time_stamps.query(signature))
    _write(to, content)


def _write(to: Path | None, content: bytes) -> None:
    with output(to) as sink:
        sink.write(content)
