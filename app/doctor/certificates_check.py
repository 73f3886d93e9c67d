"""How long the certificates that the settings name are still good."""

import time
from collections.abc import Iterator
from typing import Final

from app.doctor.findings import CheckFinding, fail, ok, warn
from app.settings import Settings
from app.telemetry.certificates import certificate_ends

_DAY_SECONDS: Final = 86_400.0
_WARNED_DAYS: Final = 14
"""As the alert CallstreamCertificateEndsSoon."""

_RENEW: Final = "put a renewed file in its place, and restart what reads it: docs/runbooks/CallstreamCertificateEnds.md"


def check_certificates(settings: Settings) -> Iterator[CheckFinding]:
    """Days that are left of each certificate, the next to end first."""
    left = {name: (end, (end - time.time()) / _DAY_SECONDS) for name, end in certificate_ends(settings).items()}
    for name, (end, days) in sorted(left.items(), key=lambda one: one[1]):
        if not end:
            yield fail(f"{name}: the file has no certificate that can be read", "correct the file")
        elif days <= 0:
            yield fail(f"{name}: the certificate ended {-days:.0f} days ago", _RENEW)
        elif days < _WARNED_DAYS:
            yield warn(f"{name}: the certificate ends in {days:.0f} days", _RENEW)
        else:
            yield ok(f"{name}: the certificate is good for {days:.0f} days")
