"""The files of the console's page."""

import hashlib
import re
from pathlib import Path
from typing import Final

import app.console
from app.console.page_files import FLAME_SCRIPT, page_files
from app.export.flame_graph.script import STYLE, script

WEB: Final = Path(app.console.__file__).parent / "web"

_ADDRESS = re.compile(rb"https?://(?!www\.w3\.org/)[^\s\"'`)]+")
_IMPORT = re.compile(r'(?:from|import)\s*\(?\s*["`](\.[^"`$]+)["`]')


def test_every_file_of_the_page_is_served() -> None:
    """The page is at the base path itself; what is not part of it, such as a licence, is not served."""
    served = page_files()
    there = {str(file.relative_to(WEB)) for file in WEB.rglob("*") if file.is_file()}
    assert FLAME_SCRIPT not in there
    assert served.keys() == {
        "",
        FLAME_SCRIPT,
        STYLE,
        *(path for path in there if not path.endswith((".txt", "LICENSE"))),
    }
    assert served[""] == served["index.html"]
    assert script().encode() in served[FLAME_SCRIPT].content


def test_what_others_made_is_what_they_published() -> None:
    """Each file beside ORIGIN.txt has the digest that stands there, and a licence."""
    origins = list((WEB / "vendor").glob("*/ORIGIN.txt"))
    assert origins
    for origin in origins:
        digests = dict(
            reversed(line) for line in re.findall(r"^([0-9a-f]{64})  (\S+)$", origin.read_text(), re.MULTILINE)
        )
        assert digests.keys() | {"ORIGIN.txt"} == {file.name for file in origin.parent.iterdir()}
        assert "LICENSE" in digests
        for name, digest in digests.items():
            assert hashlib.sha256((origin.parent / name).read_bytes()).hexdigest() == digest, name


def test_no_file_names_another_place() -> None:
    """The page asks nobody but its own server."""
    for path, file in page_files().items():
        if path.startswith("vendor/"):  # its comments do; the policy of the page forbids any connection
            continue
        assert not [one for one in _ADDRESS.findall(file.content) if b"example.org" not in one], path


def test_every_module_that_is_imported_is_there() -> None:
    """A name that is misspelt would break a view only when somebody opens it."""
    files = page_files()
    for path, file in files.items():
        if path.endswith(".js") and not path.startswith("vendor/"):
            for name in _IMPORT.findall(file.content.decode()):
                target = (WEB / path).parent.joinpath(name).resolve().relative_to(WEB)
                assert str(target) in files, f"{path} imports {name}"


def test_no_module_makes_elements_out_of_text() -> None:
    """Names from topics are hostile, so text never becomes markup."""
    for path, file in page_files().items():
        if path.endswith(".js"):
            found = re.findall(
                rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", file.content
            )
            assert not found, path
