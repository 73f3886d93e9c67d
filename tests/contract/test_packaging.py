"""What the project installs, and what its documents say about it."""

import ast
import importlib.metadata
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PLACE = re.compile(r"`((?:app|agents|schemas|bench|tests)/[\w/]+\.py)(?::([\w.]+))?`")


def test_no_other_distribution_claims_our_import_names() -> None:
    """The generic top-level names app, agents and schemas belong to this distribution alone."""
    owners = importlib.metadata.packages_distributions()

    for name in ("app", "agents", "schemas"):
        assert set(owners[name]) == {"callstream"}


def test_proto_is_data_and_no_package() -> None:
    """A package named proto would shadow one that Google's client libraries install."""
    assert not list((ROOT / "proto").rglob("__init__.py"))


def test_lock_file_has_hashes_and_no_index_address() -> None:
    """Every requirement is pinned by version and hash, and nothing says where it was fetched from."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = re.findall(r"^[\w.-]+==", lock, re.MULTILINE)

    assert len(pinned) > 50
    assert lock.count("--hash=sha256:") >= len(pinned)
    assert "://" not in lock


def test_every_dependency_is_pinned_in_the_lock_file() -> None:
    """pyproject.toml and requirements.lock name the same versions."""
    declared = re.findall(
        r'^    "([\w.-]+)==([\w.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").lower()

    assert len(declared) > 20
    for name, version in declared:
        assert f"{name.lower()}=={version} " in lock, name


@pytest.mark.parametrize("document", ["README.md", "DESIGN.md"])
def test_every_place_that_a_document_names_exists(document: str) -> None:
    """A `file.py` or `file.py:name` in README and DESIGN is there, so that the walk through the code stays true."""
    places = set(_PLACE.findall((ROOT / document).read_text(encoding="utf-8")))

    assert places
    for file, name in places:
        path = ROOT / file
        assert path.is_file(), f"{document}: {file}"
        if name:
            assert set(name.split(".")) <= _defined(path), f"{document}: {file}:{name}"


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
