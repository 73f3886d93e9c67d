"""The process that demangles: `python -m app.symbols.demangler`, one JSON request and one JSON answer a line.

A mangled name is a program in a small language whose output can double with every substitution, and demanglers recurse:
a name of a few kB, chosen by the maker of a binary, takes all memory or the stack. So this runs apart, with limits.

LLVM's demanglers (pycxxfilt) know C++ and Rust's v0 names. Rust's legacy names are C++ names with escapes and a hash;
both are taken care of here.
"""

import json
import re
import resource
import sys
from typing import Final

import pycxxfilt

MAX_SYMBOL_CHARS: Final = 8_192
MAX_DEMANGLED_CHARS: Final = 10_000
MAX_MEMORY_BYTES: Final = 512 * 2**20
MAX_CPU_SECONDS: Final = 600

_RUST_LEGACY: Final = re.compile(r"_ZN.*17h[0-9a-f]{16}E(?:\.[\w.]+)?")
_RUST_HASH: Final = re.compile(r"::h[0-9a-f]{16}(?= |\Z)")
_RUST_ESCAPE: Final = re.compile(r"\$(SP|BP|RF|LT|GT|LP|RP|C|u[0-9a-f]{1,6})\$|\.\.|(?<=::)_(?=\$)|\A_(?=\$)")
_RUST_CHARACTERS: Final = {
    "SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ",",
}  # fmt: skip


def demangled(symbol: str) -> str | None:
    """A mangled C++ or Rust name as people read it; None if it is not mangled, or cannot be demangled."""
    if len(symbol) > MAX_SYMBOL_CHARS:
        return None
    try:
        name = pycxxfilt.demangle(symbol)
    except ValueError:  # malformed, or characters that no mangled name has
        return None
    if name is not None and _RUST_LEGACY.fullmatch(symbol):
        name = _RUST_ESCAPE.sub(_rust_character, _RUST_HASH.sub("", name))
    return name if name is not None and len(name) <= MAX_DEMANGLED_CHARS else None


def _rust_character(escape: re.Match[str]) -> str:
    if escape[0] == "..":
        return "::"
    if (code := escape[1]) is None:  # `_` before an escape, because a name may not begin with `$`
        return ""
    if code in _RUST_CHARACTERS:
        return _RUST_CHARACTERS[code]
    number = int(code[1:], 16)
    return chr(number) if 0x20 <= number < 0xD800 else escape[0]


def main() -> None:
    """Answer requests until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        sys.stdout.write(json.dumps({"name": demangled(json.loads(line)["symbol"])}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
