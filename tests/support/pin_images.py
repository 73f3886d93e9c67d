"""Pins the images that others build by digest, where a container registry can be reached.

`python -m tests.support.pin_images` asks for the digest of every tag in the Dockerfiles of deploy/ and in
docker-compose.yml, and writes `name:tag@sha256:...` in its place. It asks by `docker buildx imagetools inspect`, which
pulls nothing. The digest is that of the list of all architectures, so the files stay the same for all of them. If one
image has no answer, no file is changed.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
TAGGED: Final = r"[a-z0-9][a-z0-9/._-]*:v?\d+\.\d+\.\d+[a-z0-9.-]*"
"""An image with the tag of a full version."""
DIGEST: Final = r"sha256:[0-9a-f]{64}"
_PLACE: Final = re.compile(rf"^(\s*image: |FROM )({TAGGED})(?:@{DIGEST})?(?=\s|$)", re.MULTILINE)
_OURS: Final = "callstream"


def files_with_images(root: Path) -> list[Path]:
    """Files that name images of others."""
    return [*sorted((root / "deploy").rglob("Dockerfile")), root / "docker-compose.yml"]


def pinned_text(text: str, digest_of: Callable[[str], str]) -> str:
    """The text with a digest behind each image that others build."""
    return _PLACE.sub(
        lambda found: found[0] if found[2].startswith(_OURS) else f"{found[1]}{found[2]}@{digest_of(found[2])}", text
    )


def digest_of(image: str) -> str:
    """What a container registry has under a tag now. Raises SystemExit if there is no answer, with Docker's words."""
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", image]
    try:
        asked = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        sys.exit(f"pin-images: docker cannot be run: {error.strerror}")
    if asked.returncode != 0 or not re.fullmatch(DIGEST, asked.stdout.strip()):
        sys.exit(f"pin-images: no digest of {image}: {(asked.stderr or asked.stdout).strip()}")
    return asked.stdout.strip()


def pin(files: Iterable[Path]) -> None:
    """Pin all files, or none."""
    made = {file: pinned_text(file.read_text(encoding="utf-8"), digest_of) for file in files}
    for file, text in made.items():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    pin(files_with_images(ROOT))
