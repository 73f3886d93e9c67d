"""What the project installs, and what its documents say about it."""

import ast
import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
_FOLDER = re.compile(r"`((?:app|agents|schemas|bench|tests|proto|deploy|docs)/(?:[\w-]+/)*)`")
_PLACE = re.compile(r"`((?:app|agents|schemas|bench|tests)/[\w/]+\.py)(?::([\w.]+))?`")


def test_no_other_distribution_claims_our_import_names() -> None:
    """The generic top-level names app, agents and schemas belong to this distribution alone."""
    owners = importlib.metadata.packages_distributions()

    for name in ("app", "agents", "schemas"):
        assert set(owners[name]) == {"callstream"}


def test_the_wheel_says_where_it_belongs() -> None:
    """Its import names are generic and its dependencies pinned, so it shares an environment with nothing."""
    assert "an environment of its own" in importlib.metadata.metadata("callstream")["Summary"]
    assert "in an environment of its own" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_proto_is_data_and_no_package() -> None:
    """A package named proto would shadow one that Google's client libraries install."""
    assert not list((ROOT / "proto").rglob("__init__.py"))


@pytest.mark.parametrize(("file", "least"), [("requirements.lock", 40), ("requirements-dev.lock", 70)])
def test_lock_file_has_hashes_and_no_index_address(file: str, least: int) -> None:
    """Every requirement is pinned by version and hash, and nothing says where it was fetched from."""
    lock = (ROOT / file).read_text(encoding="utf-8")
    pinned = re.findall(r"^[\w.-]+==", lock, re.MULTILINE)

    assert len(pinned) > least
    assert lock.count("--hash=sha256:") >= len(pinned)
    assert "://" not in lock


def test_every_dependency_is_pinned_in_the_lock_file() -> None:
    """pyproject.toml and requirements-dev.lock name the same versions."""
    declared = re.findall(
        r'^    "([\w.-]+)==([\w.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    lock = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8").lower()

    assert len(declared) > 20
    for name, version in declared:
        assert f"{name.lower()}=={version} " in lock, name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_place_that_a_document_names_exists(document: Path) -> None:
    """Each `file.py`, `file.py:name` and folder that a document names exists, so the walk through the code is true."""
    text = document.read_text(encoding="utf-8")

    for folder in _FOLDER.findall(text):
        assert (ROOT / folder).is_dir(), f"{document}: {folder}"
    for file, name in set(_PLACE.findall(text)):
        path = ROOT / file
        assert path.is_file(), f"{document}: {file}"
        if name:
            assert set(name.split(".")) <= _defined(path), f"{document}: {file}:{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    """A link names a file beside the document, or a heading of the document itself."""
    text = document.read_text(encoding="utf-8")
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}

    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith("https://"):
            assert target[1:] in headings if target.startswith("#") else (document.parent / target).is_file(), target


def test_the_design_names_every_folder() -> None:
    """A reader who looks for a file finds every folder that holds code in the table of folders."""
    listed = set(_FOLDER.findall(_section("Where things are")))
    code = {path.parent for top in ("app", "agents", "schemas") for path in (ROOT / top).rglob("*.py")}

    assert {f"{path.relative_to(ROOT)}/" for path in code} - {"app/", "agents/"} <= listed


@pytest.mark.parametrize("top", ["app", "agents"])
def test_the_design_names_every_loose_module(top: str) -> None:
    """What stands in no folder of `app` or `agents` is named beside the table of folders."""
    loose = {path.relative_to(ROOT).as_posix() for path in (ROOT / top).glob("*.py")} - {f"{top}/__init__.py"}

    assert loose <= {file for file, _ in _PLACE.findall(_section("Where things are"))}


def test_the_glossary_is_short() -> None:
    """At most 25 entries: a reader can learn them in one sitting."""
    words = re.findall(r"^\| (?!word \||---)(.+?) \|", _section("Words"), re.MULTILINE)

    assert 20 <= len(words) <= 25
    assert len(set(words)) == len(words)


def test_the_project_says_its_licence() -> None:
    """The licence's text is there, and goes into what is built, with its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE", "AUTHORS"])
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def _section(heading: str) -> str:
    """Text of one section of DESIGN.md."""
    _, text = (ROOT / "DESIGN.md").read_text(encoding="utf-8").split(f"\n## {heading}\n")
    return text.split("\n## ")[0]


def _defined(path: Path) -> set[str]:
    """Names of functions, classes, and assigned constants in a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case _:
                pass
    return names
