"""Symbol names as compilers, linkers and the kernel decorate them, reduced to what compares across builds.

Suffixes that name a *separate body* of a function (`.cold`, `.part.N`, `.isra.N`, `.constprop.N`) stay: `foo.cold+5`
and `foo+5` are different code. Suffixes that only carry a build's hash or counter go. Kernel names that count how many
trampolines were loaded before this one lose the count and their offset, for both differ at every boot.

A name alone does not say which kernel module a function belongs to: one kernel had `init_once` twelve times. Only a
node's own kallsyms snapshot says it.
"""

import re
from dataclasses import dataclass
from typing import Final

# ThinLTO promotion (`.llvm.<hash>`), -funique-internal-linkage-names (`.__uniq.<hash>`), GCC's LTO privatisation, and
# the 32 hex digits that clang 12 and older appended for CFI.
_BUILD_NOISE: Final = re.compile(r"(?:\.llvm\.[0-9]+|\.__uniq\.[0-9]+|\.lto_priv\.[0-9]+|\$[0-9a-f]{32})(?=[.$]|\Z)")

# The padding before an x86 function that objtool names `__pfx_X`. Tetragon's kallsyms search takes the symbol strictly
# below the address, so a probe at the first byte of X is reported as `__pfx_X+0x10`.
_PADDING_PREFIX: Final = "__pfx_"
_PADDING_BYTES: Final = 16

_NUMBERED: Final = re.compile(r"(?P<name>bpf_trampoline|bpf_dispatcher_\w+?|ftrace_trampoline\w*?)(?:_[0-9]+)*")
_GENERATED: Final = frozenset({"kprobe_insn_page", "kprobe_optinsn_page"})

# kallsyms appends a tab and the module in brackets; Tetragon strips it today.
_MODULE_TOKEN: Final = re.compile(r"(?P<symbol>[^\s\[]+)\s+\[(?P<module>[^\]\s]+)\]")


@dataclass(frozen=True, slots=True)
class KernelSymbol:
    """A kernel symbol in canonical form: `offset` in bytes from it, and the kernel module where the text named one.

    `is_trampoline`: code generated at run time, whose offset means nothing and is 0.
    """

    name: str
    offset: int
    module: str | None
    is_trampoline: bool


_MARKS: Final = ("@", ".llvm.", ".__uniq.", ".lto_priv.")
_HASH: Final = re.compile(r"\$[0-9a-f]{32}")


def may_be_decorated(text: str) -> bool:
    """Whether any symbol in a text may have something that its canonical form lacks."""
    return any(mark in text for mark in _MARKS) or _HASH.search(text) is not None


def canonical_symbol(raw: str) -> str:
    """A linker symbol without its version (`@VER`, `@@VER`) and without build noise; still mangled."""
    name = raw
    if "@" in name and (version_at := name.find("@", 1)) > 0:
        name = name[:version_at]
    # how each noise begins: every name of Go has a dot, and four searches take a tenth of the time of a match
    if "$" in name or ".llvm." in name or ".__uniq." in name or ".lto_priv." in name:
        while (bare := _BUILD_NOISE.sub("", name)) and bare != name:  # a removal can bring two halves together
            name = bare
    return name


def canonical_kernel_symbol(raw: str, offset: int) -> KernelSymbol:
    """The canonical form of a `kernel_stack_trace` entry's symbol and its offset from that symbol in bytes."""
    module: str | None = None
    if (token := _MODULE_TOKEN.fullmatch(raw)) is not None:
        raw, module = token["symbol"], token["module"]
    if raw in _GENERATED:
        return KernelSymbol(raw, 0, None, is_trampoline=True)
    # `bpf_dispatcher_xdp_func` and its like are ordinary functions that end in `_func`; the generated image does not.
    if (numbered := _NUMBERED.fullmatch(raw)) is not None and not raw.endswith("_func"):
        return KernelSymbol(numbered["name"], 0, None, is_trampoline=True)
    name = canonical_symbol(raw)
    if offset == _PADDING_BYTES and name.startswith(_PADDING_PREFIX) and name != _PADDING_PREFIX:
        return KernelSymbol(name.removeprefix(_PADDING_PREFIX), 0, module, is_trampoline=False)
    return KernelSymbol(name, offset, module, is_trampoline=False)
