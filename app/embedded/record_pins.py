"""Rewrites pinned.sha256 from what Maven resolves pom.xml to: `python -m app.embedded.record_pins`.

Whoever changed a version in pom.xml runs this and reviews the difference.
"""

import sys
import tempfile
from pathlib import Path

from app.embedded.maven import resolve
from app.embedded.pins import DIGESTS, digests_below


def main() -> None:
    """Resolve pom.xml and write the digest of every file."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        resolve(output, log_file=Path(folder) / "maven.log")
        digests = digests_below(output)
    DIGESTS.write_text("".join(f"{digest}  {path}\n" for path, digest in digests.items()), encoding="ascii")
    sys.stdout.write(f"{len(digests)} digests written to {DIGESTS.name}\n")


if __name__ == "__main__":
    main()
