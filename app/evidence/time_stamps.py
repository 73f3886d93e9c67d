"""Time-stamps over signatures: somebody else's word that a document was signed before a certain time (RFC 3161).

Beside a signed document `X.json` lies `X.tsq`, a query for any time-stamping authority: it has the digest of the
signature and nothing else. Its answer is put beside it as `X.tsr`. A signature alone does not say when it was made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, VerificationError, VerifierBuilder
from rfc3161_client import decode_timestamp_response as decoded

from app.evidence.attestation import SignatureError
from app.evidence.keys import KeyFileError
from app.operators.regular_files import read_regular

QUERY_SUFFIX: Final = ".tsq"
ANSWER_SUFFIX: Final = ".tsr"
_MAX_BYTES: Final = 1 << 20
"""An answer has some kilobytes: a signature, and the certificates of the authority."""


@dataclass(frozen=True, slots=True)
class TimeStamp:
    """When a signature was there, by the word of an authority; `is_proved` if it chains to a root that was given."""

    time: datetime
    is_proved: bool

    def __str__(self) -> str:
        return self.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def query(signature: bytes) -> bytes:
    """A query over a signature, without a nonce: the same signature gives the same query."""
    builder = TimestampRequestBuilder(data=signature, hash_algorithm=HashAlgorithm.SHA256, nonce=False)
    return builder.build().as_bytes()


def load_roots(path: Path) -> tuple[Certificate, ...]:
    """Roots of time-stamping authorities in a PEM file. Raises KeyFileError."""
    try:
        return tuple(load_pem_x509_certificates(read_regular(path, _MAX_BYTES)))
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from None
    except ValueError:
        raise KeyFileError(f"{path}: holds no certificate") from None


def check(document: Path, signature: bytes, roots: Sequence[Certificate]) -> TimeStamp | None:
    """The time-stamp beside a document, over its signature; None where there is none and no root is given.

    Raises SignatureError.
    """
    path = document.with_suffix(ANSWER_SUFFIX)
    if not path.exists():
        if roots:
            raise SignatureError(f"has no time-stamp: {path.name} is not there")
        return None
    try:
        answer = decoded(read_regular(path, _MAX_BYTES))
        made = answer.tst_info.gen_time
    except OSError as error:
        raise SignatureError(f"has a time-stamp that cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise SignatureError(f"has a time-stamp that is none: {path.name}") from None
    for root in roots:
        try:
            VerifierBuilder(roots=[root]).build().verify_message(answer, signature)
        except (VerificationError, ValueError):
            continue
        return TimeStamp(made, is_proved=True)
    if roots:
        raise SignatureError(f"has a time-stamp that is not of these authorities, or of another signature: {path.name}")
    return TimeStamp(made, is_proved=False)
