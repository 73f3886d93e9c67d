"""Ed25519 signatures over documents: they prove who signed a manifest.

Source: RFC 8032; keys are PEM files as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them. A
signature covers the same bytes as the document's digest. The public key inside a document only says who claims to have
signed; the proof needs the key from elsewhere.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from app.evidence.documents import SIGNATURE, covered_bytes
from app.operators.errors import OperatorError
from app.operators.regular_files import read_regular

_MAX_KEY_BYTES: Final = 64 << 10
"""A PEM file of one key has some 120 bytes; people keep comments beside it."""


class KeyFileError(OperatorError):
    """A file does not hold the needed Ed25519 key; the message names the file, and nothing of its content."""


class SignatureError(Exception):
    """A document is not signed as it should be; the message says why."""


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """The unencrypted private key in a PEM file. Raises KeyFileError."""
    key = _load(path, lambda content: load_pem_private_key(content, None))
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: is not an Ed25519 private key")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """The public key in a PEM file. Raises KeyFileError."""
    key = _load(path, load_pem_public_key)
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path}: is not an Ed25519 public key")
    return key


def signed(document: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The document with a signature."""
    return {**document, SIGNATURE: _stated(key.public_key(), key.sign(covered_bytes(document)))}


def _stated(key: Ed25519PublicKey, value: bytes) -> dict[str, str]:
    return {"algorithm": "Ed25519", "public_key": key.public_bytes_raw().hex(), "value": value.hex()}


def check(document: Mapping[str, Any], expected: Ed25519PublicKey | None) -> str | None:
    """Check the signature; returns the hex digits of the key it names, None for a document without one.

    Where a key is expected the document must be signed with that one. Raises SignatureError.
    """
    signature = document.get(SIGNATURE)
    if signature is None:
        if expected is not None:
            raise SignatureError("is not signed")
        return None
    try:
        named: str = signature["public_key"]
        value = bytes.fromhex(signature["value"])
        claimed = Ed25519PublicKey.from_public_bytes(bytes.fromhex(named))
        known = signature == _stated(claimed, value)  # hex digits have one form, and there is nothing beside
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SignatureError("has a signature that is none") from None
    if not known:
        raise SignatureError("has a signature of another kind")
    if expected is not None and expected.public_bytes_raw() != claimed.public_bytes_raw():
        raise SignatureError(f"is signed with another key: {named}")
    try:
        claimed.verify(value, covered_bytes(document))
    except InvalidSignature:
        raise SignatureError("does not match its signature: it was changed, or was never signed") from None
    return named


def _load(path: Path, read: Any) -> object:
    try:
        return read(read_regular(path, _MAX_KEY_BYTES))
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from None
    except (ValueError, TypeError) as error:  # not PEM, encrypted, or of a kind that is not supported
        raise KeyFileError(f"{path}: holds no usable key ({type(error).__name__})") from None
