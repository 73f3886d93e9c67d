"""How the tree reads: one name for one class, one folder for one kind of module, modules that fit a head."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PRODUCTION: Final = ("app", "agents", "schemas")
ALL: Final = (*PRODUCTION, "bench", "tests")

MAX_LINES: Final = 400
MAX_LOOSE_MODULES: Final = 8
MAX_REFUSALS_TO_KNOW: Final = 12
"""The formula says what an import rule can prove. Where it stays, it gives a reason."""

FORMULA: Final = re.compile(r"refuses?\s+to\s+know", re.IGNORECASE)


def _modules(*folders: str) -> Iterator[Path]:
    """Every module that people wrote; generated code is left out."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            generated = path.name.endswith("_pb2.py") or path.is_relative_to(ROOT / "schemas" / "tetragon")
            if not generated:
                yield path


def _class_names() -> Counter[str]:
    """How many classes of app, agents and schemas have each name, classes inside of classes and functions too."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in _modules(*PRODUCTION))
    return Counter(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def test_one_class_name_stands_for_one_class() -> None:
    """Who reads a name knows which class it is, whatever module he reads it in."""
    shared = {name for name, count in _class_names().items() if count > 1}
    assert sorted(shared) == []


def test_the_formula_is_rare() -> None:
    """Said by every module, "refuses to know" informs nobody."""
    found = [
        f"{path.relative_to(ROOT)}: {len(FORMULA.findall(text))}"
        for path in _modules(*ALL)
        if path != Path(__file__) and FORMULA.search(text := path.read_text(encoding="utf-8"))
    ]
    assert sum(int(line.rpartition(" ")[2]) for line in found) <= MAX_REFUSALS_TO_KNOW, "\n".join(found)


def test_few_modules_lie_loose_in_app() -> None:
    """What belongs together has a folder."""
    loose = [path.name for path in (ROOT / "app").glob("*.py") if not path.name.startswith("__")]
    assert len(loose) <= MAX_LOOSE_MODULES, loose


def test_no_module_is_too_long() -> None:
    """Whoever opens a module can read all of it."""
    paths = _modules(*PRODUCTION, "bench", "tests/support")
    lengths = {path.relative_to(ROOT): path.read_text(encoding="utf-8").count("\n") for path in paths}
    assert {str(path): lines for path, lines in lengths.items() if lines > MAX_LINES} == {}
