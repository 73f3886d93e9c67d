"""app/simulator/workload/binaries.py: offsets are those of real functions, by the judgement of another reader."""

import subprocess
import sys
from pathlib import Path

import pytest

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import encode_index
from agents.symbols.lookup import Resolved
from app.simulator.workload.binaries import Binary, mapped_binaries
from app.symbols.index_builder import build_index

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc/self/maps here")


@pytest.fixture(name="binaries", scope="module")
def _binaries() -> dict[str, Binary]:
    return mapped_binaries()


def test_libc_and_the_interpreter_are_found(binaries: dict[str, Binary]) -> None:
    """Whatever the system calls the files, the roles that every stack needs are there."""
    assert {"libc", "python"} <= binaries.keys()
    assert binaries["libc"].named("write", "read")
    assert binaries["python"].named("_PyEval_EvalFrameDefault")


def test_functions_lie_where_the_symbol_store_sees_them(binaries: dict[str, Binary]) -> None:
    """First, middle and last byte of a function resolve to that place in an index of the symbol store's making."""
    binary = binaries["libc"]
    content = build_index(binary.file, None, with_lines=False)
    index = SymbolIndex(memoryview(encode_index(content)))
    functions = binary.named("write", "read", "connect", "open64", "qsort", "printf")

    assert functions
    assert content.build_id == binary.build_id.hex()
    for function in functions:
        for within in (0, function.size // 2, function.size - 1):
            found = index.lookup(function.file_offset + within, innermost=True)
            assert isinstance(found, Resolved)
            assert found.offset == within


def test_paths_show_no_home_directory_of_the_interpreter(binaries: dict[str, Binary]) -> None:
    """A Python of one's own appears where the official images have it."""
    prefix = sys.base_prefix
    if prefix == "/usr":
        pytest.skip("this interpreter lies in /usr, where nothing is to be hidden")

    assert not [binary.path for binary in binaries.values() if binary.path.startswith(prefix)]


def test_a_machine_without_maps_is_refused_with_a_reason() -> None:
    """Where nothing can be found, the error says what is needed, instead of events without stacks."""
    program = (
        "import app.simulator.workload.binaries as b\n"
        "b._mapped_files = list\n"
        "try: b.mapped_binaries()\n"
        "except b.NoBinariesError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "a Linux is needed" in found.stdout
