"""Become another program that dies with the process that started it.

Run as a script: `python tied_exec.py PARENT_PID PROGRAM ARGUMENT...`. It requests the kernel's parent-death signal in a
fresh single-threaded interpreter, and the request survives the exec. A request between fork and exec of a threaded
program would run Python there, which can deadlock. It uses the standard library only, and starts in some 15 ms.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def tied(*command: str) -> list[str]:
    """The command line that runs `command`, a program's path and its arguments, tied to this process."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then exec."""
    parent, program = int(arguments[0]), arguments[1]
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - the call exists on Linux only; elsewhere a killed parent leaves the program running

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)  # the parent died before the request was in place, so no signal would ever come
    os.execv(program, arguments[1:])  # noqa: S606 - replacing this process is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
