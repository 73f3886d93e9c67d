"""When the certificates that the settings name come to their end."""

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from app.settings import Settings, variable_of

_OWN: Final = "_cert_file"
_OF_OTHERS: Final = "_ca_file"
_UNREADABLE: Final = datetime.fromtimestamp(0, UTC)


def certificate_ends(settings: Settings) -> dict[str, float]:
    """The end of each configured certificate, as Unix time by the setting that names its file; reads the files.

    Of our own chain the first end counts, and of a file with CAs the last one: the file is of use as long as one of
    its CAs is, and an old CA stays beside a new one while servers change. 0 means that the file cannot be read.
    """
    named = {field.name: getattr(settings, field.name) for field in fields(Settings)}
    return {
        variable_of(name): _end(path, earliest=name.endswith(_OWN)).timestamp()
        for name, path in named.items()
        if path is not None and name.endswith((_OWN, _OF_OTHERS))
    }


def _end(path: Path, *, earliest: bool) -> datetime:
    try:
        ends = [one.not_valid_after_utc for one in x509.load_pem_x509_certificates(path.read_bytes())]
    except (OSError, ValueError):
        return _UNREADABLE
    return min(ends) if earliest else max(ends)
