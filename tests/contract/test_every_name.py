"""No name of a real file gets a wrong answer; tests/support/every_name.py says what is proved."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.every_name import NEVER, Way, prove
from tests.support.programs import compile_go, compile_rust, library, need

LIBRARIES = ("libc.so.6", "libm.so.6", "libstdc++.so.6", "libssl.so.3")

pytestmark = pytest.mark.slow(reason="watches every name of large files")


def holds(file: Path, folder: Path, seed: int) -> None:
    """What is proved of each file."""
    proof = prove(file, folder, seed)

    assert proof.exceptions == []
    for way in (Way.FRAME, Way.PROBE_BY_OFFSET, Way.PROBE_BY_NAME):
        hits = sum(count for words, count in proof.answers[way].items() if words.startswith("Hit"))
        assert hits > 0.3 * proof.names
    never = sum(count for words, count in proof.answers[Way.NOTHING].items() if words.split(" ")[0] in NEVER)
    assert never > 0.8 * proof.names


@pytest.mark.parametrize("name", LIBRARIES)
def test_no_name_of_a_library_gets_a_wrong_answer(name: str, tmp_path: Path, seed: int) -> None:
    """What ran is never "never", what did not run is not hit, and every other answer has a reason that others see."""
    need("readelf", "addr2line")
    holds(library(name), tmp_path, seed)


@pytest.mark.parametrize("compiled", [compile_go, lambda folder: compile_rust(folder, "-g")], ids=["go", "rust"])
def test_no_name_of_a_program_gets_a_wrong_answer(compiled: Callable[[Path], Path], tmp_path: Path, seed: int) -> None:
    """The same for programs whose functions were inlined into each other."""
    need("readelf", "addr2line")
    (tmp_path / "made").mkdir()
    holds(compiled(tmp_path / "made"), tmp_path / "store", seed)
