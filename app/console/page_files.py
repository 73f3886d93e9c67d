"""The files of the page, read once from their packages."""

from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from app.export.flame_graph.script import STYLE, asset, module

TYPES: Final = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
"""Content types by the end of a name; other files, such as licences, are not served."""


FLAME_SCRIPT: Final = "flame_graph.js"
"""The module that draws flame graphs; it is the script of an export's file."""


class PageFile(NamedTuple):
    """One file as it is served."""

    content: bytes
    content_type: str
    etag: str


def page_files() -> dict[str, PageFile]:
    """All files by their path below the base path; the page itself is at the empty one."""
    found = dict(_below(files("app.console") / "web", ""))
    flames = {FLAME_SCRIPT: module(), STYLE: asset(STYLE)}
    made = {name: _page_file(name, text.encode()) for name, text in flames.items()}
    return {"": found["index.html"], **found, **made}


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, PageFile]]:
    for one in sorted(folder.iterdir(), key=lambda entry: entry.name):
        here = f"{path}{one.name}"
        if one.is_dir():
            yield from _below(one, f"{here}/")
        elif one.name.rpartition(".")[2] in TYPES:
            yield here, _page_file(one.name, one.read_bytes())


def _page_file(name: str, content: bytes) -> PageFile:
    return PageFile(content, TYPES[name.rpartition(".")[2]], sha256(content).hexdigest()[:16])
