"""Documents with their signatures and time-stamps: how they are written, and what can be said of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509 import Certificate

from app.evidence import attestation, documents, time_stamps
from app.evidence.attestation import Attestation
from app.evidence.time_stamps import TimeStamp
from app.files.replacing import replace_file


@dataclass(frozen=True, slots=True)
class TrustedSigner:
    """Whom somebody trusts: the key that must have signed, and the authorities that must have stamped the time."""

    public_key: Ed25519PublicKey | None = None
    time_stamp_roots: tuple[Certificate, ...] = ()


NOBODY: Final = TrustedSigner()
"""Whatever is signed and stamped is reported, and nothing is proved by it."""


@dataclass(frozen=True, slots=True)
class CheckedSignature:
    """What is known of a document's signature; `is_proved` if it is of the trusted key."""

    attestation: Attestation
    is_proved: bool
    time_stamp: TimeStamp | None


def write_signed(
    path: Path, document: Mapping[str, Any], key: Ed25519PrivateKey | None, statement_about: Callable[[bytes], bytes]
) -> None:
    """Write a document, and with a key an envelope and a query for a time-stamp beside it.

    They come first: nobody ever sees a document that is going to be signed without its signature. Raises OSError.
    """
    content = documents.encode(document)
    if key is not None:
        envelope, signature = attestation.signed(statement_about(content), key)
        replace_file(attestation.envelope_path(path), envelope)
        replace_file(path.with_suffix(time_stamps.QUERY_SUFFIX), time_stamps.query(signature))
    replace_file(path, content)


def check_signature(path: Path, document: Mapping[str, Any], trust: TrustedSigner) -> CheckedSignature | None:
    """Check what stands beside a document; None for a document that is not signed, and need not be.

    Raises SignatureError.
    """
    found = attestation.check(path, documents.encode(document), trust.public_key)
    if found is None:
        if trust.time_stamp_roots:
            raise attestation.SignatureError("is not signed, so no time-stamp can speak of it")
        return None
    stamp = time_stamps.check(path, found.signature, trust.time_stamp_roots)
    return CheckedSignature(found, trust.public_key is not None, stamp)
