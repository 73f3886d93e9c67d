"""How commands end when the reader of their output has left."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("arguments", [["doctor", "--settings"], ["doctor", "--settings", "--json"]])
def test_a_closed_output_ends_a_command_quietly_with_the_code_of_a_broken_pipe(arguments: list[str]) -> None:
    """Not with 1, which says something else of each command, and without a traceback."""
    ours, theirs = os.pipe()
    os.close(ours)
    ran = subprocess.run(
        [sys.executable, "-m", "app", *arguments], stdout=theirs, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(theirs)
    assert (ran.returncode, ran.stderr) == (141, "")
