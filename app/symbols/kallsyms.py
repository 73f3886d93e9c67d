"""A node's /proc/kallsyms, taken as a snapshot: which kernel module holds a function.

Tetragon drops the module's name, and a name alone does not say it, so a symbol goes into the map only if it occurs once
among all text symbols of the kernel. Addresses are not needed and not kept; a snapshot read without privileges (all
addresses zero) serves as well.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from agents.symbols.kernel_symbols import canonical_symbol

# Kernels have 100,000 to 200,000 text symbols.
MAX_LINES: Final = 4_000_000

# address, type, name, and the module behind a tab; `bpf` and `__builtin__...` are not modules (kernel/kallsyms.c)
_LINE: Final = re.compile(r"[0-9a-f]{8,16} [tTwW] (?P<name>\S+)(?:\s+\[(?P<module>[^\]\s]+)\])?\s*", re.IGNORECASE)
_ANY_LINE: Final = re.compile(r"[0-9a-f]{8,16} \S \S+(?:\s+\[[^\]]*\])?\s*", re.IGNORECASE)


class NotKallsymsError(ValueError):
    """The lines are not those of /proc/kallsyms."""


def kernel_modules(lines: Iterable[str]) -> dict[str, str]:
    """From canonical symbol to kernel module. Raises NotKallsymsError."""
    seen: Counter[str] = Counter()
    modules: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if number > MAX_LINES:
            raise NotKallsymsError(f"more than {MAX_LINES} lines")
        if (match := _LINE.fullmatch(line)) is None:
            if _ANY_LINE.fullmatch(line) is None:
                raise NotKallsymsError(f"line {number} is not in the form of /proc/kallsyms")
            continue
        name, module = canonical_symbol(match["name"]), match["module"]
        seen[name] += 1
        if module is not None and module != "bpf" and not module.startswith("__builtin__"):
            modules[name] = module
    if not seen:
        raise NotKallsymsError("no text symbols")
    return {name: module for name, module in modules.items() if seen[name] == 1}
