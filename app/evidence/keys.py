"""Keys for signatures: Ed25519, in PEM files.

As `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them. Source: RFC 8032 and RFC 8410.
"""

from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from app.operators.errors import OperatorError
from app.operators.regular_files import read_regular

_MAX_KEY_BYTES: Final = 64 << 10
"""A PEM file of one key has some 120 bytes; people keep comments beside it."""


class KeyFileError(OperatorError):
    """A file does not hold the needed Ed25519 key; the message names the file, and nothing of its content."""


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


def _load(path: Path, read: Any) -> object:
    try:
        return read(read_regular(path, _MAX_KEY_BYTES))
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from None
    except (ValueError, TypeError) as error:  # not PEM, encrypted, or of a kind that is not supported
        raise KeyFileError(f"{path}: holds no usable key ({type(error).__name__})") from None
