"""What advisories mean for a program, in one word each."""

from pathlib import Path
from typing import Final

from agents.vulnerabilities.advisory import Advisory
from agents.vulnerabilities.go_build import STANDARD_LIBRARY, TOOLCHAIN
from app.symbols.store import SymbolStore
from app.vulnerabilities.findings import answer_word, findings
from app.vulnerabilities.programs import programs
from tests.support.indexed_files import add_to

ANSWERS: Final = Path(__file__).parents[1] / "golden" / "vulnerabilities" / "govulncheck.json"
"""What govulncheck says of the programs in the test; `python -m bench.vulnerable_programs` records it."""


def answers(folder: Path, path: Path, advisories: list[Advisory]) -> tuple[dict[str, str], int]:
    """What each advisory means for a file, in one word, and how many functions the file has."""
    add_to(folder, [path.resolve()])
    [program] = programs(SymbolStore.open(folder))
    found = findings(program, [(one, "") for one in advisories])
    return {one.advisory.advisory_id: answer_word(one.assessment) for one in found}, program.index.range_count


def is_of_go(advisory: Advisory) -> bool:
    """Whether an advisory is about Go itself and nothing else."""
    return all(one.name in {STANDARD_LIBRARY, TOOLCHAIN} for one in advisory.affected)
