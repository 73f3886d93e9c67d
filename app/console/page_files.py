"""The files of the page, read once from the package."""

from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

TYPES: Final = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
"""Content types by the end of a name; other files, such as licences, are not served."""


class PageFile(NamedTuple):
    """One file as it is served."""

    content: bytes
    content_type: str
    etag: str


def page_files() -> dict[str, PageFile]:
    """All files by their path below the base path; the page itself is at the empty one."""
    found = dict(_below(files("app.console") / "web", ""))
    return {"": found["index.html"], **found}


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, PageFile]]:
    for one in sorted(folder.iterdir(), key=lambda entry: entry.name):
        here = f"{path}{one.name}"
        content_type = TYPES.get(one.name.rpartition(".")[2])
        if one.is_dir():
            yield from _below(one, f"{here}/")
        elif content_type is not None:
            content = one.read_bytes()
            yield here, PageFile(content, content_type, sha256(content).hexdigest()[:16])
