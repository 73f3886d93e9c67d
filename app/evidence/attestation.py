"""Signed statements about documents, in the form that tools of others verify: DSSE envelopes of in-toto statements.

`X.dsse.json` beside a document `X.json` is a DSSE envelope (https://github.com/secure-systems-lab/dsse, version 1)
around an in-toto Statement (https://in-toto.io/Statement/v1) whose first subject is the document, by name and SHA-256.
An envelope does not name its key: DSSE's key id is only a hint, libraries disagree on how it is made, and some pass
over a signature whose id is not theirs. The proof needs the public key from elsewhere anyway.

The envelope stands in one form, as documents.py has it, so any changed bit is noticed. Ed25519 signatures are
deterministic: the same document and key give the same envelope.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]  # it has no __all__

from app.evidence.documents import DocumentError, canonical_text, encode, of_bytes, read_unproved

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
SUFFIX: Final = ".dsse.json"
_NO_ID: Final = ""


class SignatureError(Exception):
    """A document is not signed as it should be; the message says why, and begins behind the document's name."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """A statement about a document, and its signature."""

    statement: Mapping[str, Any]
    signature: bytes


def envelope_path(document: Path) -> Path:
    """Where the envelope of a document lies."""
    return document.with_name(document.stem + SUFFIX)


def subject(name: str, content: bytes) -> dict[str, Any]:
    """A file as a subject of a statement."""
    return {"name": name, "digest": {"sha256": hashlib.sha256(content).hexdigest()}}


def statement(subjects: Sequence[Mapping[str, Any]], predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """An in-toto Statement, in canonical form."""
    return canonical_text(
        {
            "_type": STATEMENT_TYPE,
            "subject": [dict(one) for one in subjects],
            "predicateType": predicate_type,
            "predicate": dict(predicate),
        }
    ).encode()


def signed(payload: bytes, key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    """The content of an envelope around a statement, and the signature in it."""
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    signature = envelope.sign(CryptoSigner(key, _nameless(key.public_key())))
    return encode(envelope.to_dict()), bytes.fromhex(signature.signature)


def check(document: Path, content: bytes, expected: Ed25519PublicKey | None) -> Attestation | None:
    """Check the envelope beside a document with that content; None where there is no envelope.

    Without a key it is only known that the envelope speaks of the document. Raises SignatureError.
    """
    path = envelope_path(document)
    if not path.exists():
        if expected is not None:
            raise SignatureError("is not signed")
        return None
    envelope = _read(path)
    found = _statement_of(envelope)
    if found.get("subject", [None])[:1] != [subject(document.name, content)]:
        raise SignatureError("does not match its signature: it was changed, or the signature is of another document")
    if expected is not None:
        try:
            envelope.verify([_nameless(expected)], 1)
        except VerificationError:
            raise SignatureError("is signed with another key, or its signature was changed") from None
    (signature,) = envelope.signatures.values()
    return Attestation(found, bytes.fromhex(signature.signature))


def _nameless(key: Ed25519PublicKey) -> SSlibKey:
    """The key as the library has it, with the id that our envelopes have."""
    found = SSlibKey.from_crypto(key)
    found.keyid = _NO_ID
    return found


def _read(path: Path) -> Envelope:
    """The envelope in a file, of one signature. Raises SignatureError."""
    try:
        content = encode(document := read_unproved(path))
        envelope = Envelope.from_dict(document)
        is_ours = encode(envelope.to_dict()) == content
    except DocumentError as error:
        raise SignatureError(f"has an envelope that cannot be read: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, FormatError):
        raise SignatureError(f"has an envelope that is none: {path.name}") from None
    if not is_ours or envelope.payload_type != PAYLOAD_TYPE or len(envelope.signatures) != 1:
        raise SignatureError(f"has an envelope of another kind: {path.name}")
    return envelope


def _statement_of(envelope: Envelope) -> Mapping[str, Any]:
    """Raises SignatureError."""
    try:
        found = of_bytes(envelope.payload + b"\n", "statement")
    except DocumentError as error:
        raise SignatureError(f"has an envelope whose {error}") from None
    if found.get("_type") != STATEMENT_TYPE or not isinstance(found.get("subject"), list):
        raise SignatureError("has an envelope whose statement is of another kind")
    return found
