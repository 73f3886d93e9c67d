"""A process may open what its hard limit allows."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from app.processes.open_files import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[1])))
raise_file_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize("hard", [64, 200])
def test_the_soft_limit_becomes_the_hard_one(hard: int) -> None:
    """It needs no rights, and a hard limit stays what it is."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(hard)], check=True, capture_output=True, text=True)

    assert done.stdout.split() == [str(hard), str(hard)]
