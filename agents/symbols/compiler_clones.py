"""Which function a symbol is: compilers make several symbols of one, for its parts, clones and builds.

- GCC: `.cold`, `.part.N`, `.isra.N`, `.constprop.N`, `.lto_priv.N`, `.simdclone.N`, `.localalias`
  (clone_function_name in gcc/cgraphclones.cc and who calls it), `.clone.N` (the same in GCC 4.5); `._omp_fn.N`,
  `._omp_cpyfn.N`, `._loopfn.N`, the bodies of parallel regions and loops (gcc/omp-low.cc, gcc/tree-parloops.cc);
  `X.Frame.actor` and `X.Frame.destroy` inside another mangled name (gcc/cp/coroutines.cc).
- GCC and LLVM, versions for processors: `.avx2`, `.arch_haswell`, `.default`, `._Msve` (x86 psABI, Arm ACLE). Their
  `.resolver` and `.ifunc` only choose a version.
- ABIs: `_ZGV...` (x86 vector function ABI), `_ZGTt` (Itanium C++ ABI 5.1.8), and the kinds of one constructor or
  destructor, `C1`, `C2`, `D0`, `D1`, `D2` (5.1.4.3).
- LLVM: `.resume`, `.destroy`, `.cleanup` (CoroSplit), `.specialized.N` (FunctionSpecialization), `.argelim`,
  `.retelim` (DeadArgumentElimination), `.argprom` (ArgumentPromotion), `.memprof.N` (MemProfContextDisambiguation),
  `.cfi`, `.cfi_jt` (LowerTypeTests), `.__part.N` (BasicBlockSections), `.warm`, `.split`, `.extracted`
  (HotColdSplitting, CodeExtractor), `.content.HASH`, and `.N` where two files of an LTO have a local symbol of one
  name.
- Rust: hashes, disambiguators and closures, see rust_names.py.
- Go: `.funcN`, `.funcN.M`, `.gowrapN`, `.deferwrapN`, `-fm`, `-rangeN` and type arguments
  (cmd/compile/internal/ir, walk, rangefunc, noder), `.abi0`, `.abiinternal`, `-trampN` (cmd/link).

A closure, a parallel region and a coroutine's body are written inside the function: where they ran, its code did.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from agents.memo import Memo
from agents.symbols.kernel_symbols import canonical_symbol
from agents.symbols.rust_names import rust_function

_GCC: Final = (
    r"cold(?:\.\d+)?",
    r"(?:part|isra|constprop|clone|lto_priv|simdclone|_omp_fn|_omp_cpyfn|_loopfn)\.\d+",
    r"localalias(?:\.\d+)?",
)
_TARGETS: Final = (
    r"arch[_=][\w-]+",
    r"avx2?|avx512\w*|sse[23]?|ssse3|sse4[._][12]|sse4a|fma4?|bmi2?|xop|f16c|mmx|popcnt|lzcnt|v?pclmul\w*|gfni|movbe",
    r"default",
    r"_M\w+",
)
_LLVM: Final = (
    r"argelim|retelim|argprom|cfi|cfi_jt|warm|extracted",
    r"(?:specialized|memprof|__part|split|llvm|__uniq)\.\d+",
    r"content\.[0-9a-f]+",
    r"\d+",
)
_GO: Final = (r"func\d+(?:\.\d+)*", r"(?:gowrap|deferwrap)\d+", r"abi0|abiinternal")

_SUFFIXES: Final = re.compile(
    rf"(?<=.)(?:(?:\.(?:{'|'.join((*_GCC, *_TARGETS, *_LLVM, *_GO))}))|-fm|-range\d+|-tramp\d+)+\Z", re.DOTALL
)
_COLD: Final = re.compile(r".\.cold(?:\.\d+)?\Z", re.DOTALL)
_COROUTINE: Final = re.compile(r"(?P<ramp>(?:_Z|_R|\$s).+)\.(?:resume|destroy|cleanup)\Z", re.DOTALL)
"""C has no coroutines, and Go has functions of these names."""

_FRAME: Final = re.compile(r"(\d+)(?P<ramp>_Z.+)\.Frame\.(?:actor|destroy)\Z")
_VECTOR: Final = re.compile(r"_ZGV[A-Za-z_]+?[NM](?:\d+|x)[a-zA-Z0-9]*_(?P<name>.+)")
_TRANSACTIONAL: Final = re.compile(r"_ZGT[tn](?P<encoding>.+)")
_STRUCTOR: Final = re.compile(r"([CD])[0-5](?=[EIB])")
_WORD: Final = re.compile(r"[A-Za-z]+")
_RUST_LENGTH: Final = re.compile(r"([1-9]\d{0,3})_?(?=[A-Za-z_]{3})")
_DECORATED: Final = re.compile(r"[.\-\[]|_Z|_R")

_CACHED: Final = 65_536
"""Symbols of a table's rows, which come again with each change of a row; some 200 bytes each."""


def function_of(symbol: str) -> str:
    """The function that a symbol is or was made of; equal for all symbols of one function."""
    return _FUNCTIONS[symbol]


def is_cold_part(symbol: str) -> bool:
    """Whether a symbol is of code that a function jumps to, so that nobody enters it but through the function."""
    return _COLD.search(symbol) is not None


def symbols_of(function: str, names: Iterable[str]) -> set[str]:
    """Those of a file's names that mean a function. Of some 70,000, most do not even have a word of it in them."""
    word = common_word(function)
    return {name for name in names if word in name and _function_of(name) == function}


_FEW: Final = 32
"""Functions for which looking for a word of each in all names costs less than to read every name: some 0.05 µs a name
and function, against up to 50 µs a name."""


def symbols_by_function(functions: Collection[str], names: Collection[str]) -> dict[str, set[str]]:
    """For each of the functions, those of a file's names that mean it."""
    if len(functions) <= _FEW:
        return {function: symbols_of(function, names) for function in functions}
    found: dict[str, set[str]] = {function: set() for function in functions}
    for name in names:
        function = _function_of(name)
        if function in found:
            found[function].add(name)
    return found


def common_word(function: str) -> str:
    """A word that all symbols of a function have in them, the longest; empty where there is none."""
    if function.startswith("_R"):  # between its identifiers, Rust has numbers that differ from build to build
        words = _WORD.findall(" ".join(_identifiers(function)))
    else:
        words = _WORD.findall(function.removeprefix("_Z").removesuffix("E"))  # behind which Rust has its hash
    return max(words, key=len, default="")


def _identifiers(function: str) -> Iterator[str]:
    """The names in a Rust v0 name, each of which has its length in front: `NtCs_4core3ptr` has `core` and `ptr`."""
    at = 0
    while (length := _RUST_LENGTH.search(function, at)) is not None:
        at = length.end() + int(length[1])
        yield function[length.end() : at]


def _function_of(symbol: str) -> str:
    if _DECORATED.search(symbol) is None:
        return symbol
    name = canonical_symbol(symbol)
    ramp = _FRAME.search(name)
    if ramp is not None and len(ramp["ramp"]) + len(".Frame") == int(ramp[1]):
        name = ramp["ramp"]
    name = _SUFFIXES.sub("", name)
    coroutine = _COROUTINE.fullmatch(name)
    if coroutine is not None:
        name = _SUFFIXES.sub("", coroutine["ramp"])
    vector, transactional = _VECTOR.fullmatch(name), _TRANSACTIONAL.fullmatch(name)
    if vector is not None:
        name = vector["name"]
    elif transactional is not None:
        name = "_Z" + transactional["encoding"]
    rust = rust_function(name)
    if rust != name or name.startswith("_R"):
        return rust
    if name.startswith("_Z"):
        return "".join(_one_structor(name)) if _STRUCTOR.search(name) else name
    return _without_type_arguments(name) if "[" in name[1:] else name


def _without_type_arguments(name: str) -> str:
    """A Go name with `[...]` for the arguments of its types, as Go's own table has them."""
    kept: list[str] = []
    depth = 0
    for character in name:
        if character == "[":
            depth += 1
            kept += ["[...]"] if depth == 1 else []
        elif character == "]":
            depth -= 1
        elif depth == 0:
            kept.append(character)
    return "".join(kept) if depth == 0 else name


_LITERAL: Final = re.compile(r"L[a-z]n?\d+E")
_SEQUENCE: Final = re.compile(r"[ST][0-9A-Z]*_|A\d+_")
_LENGTH: Final = re.compile(r"\d+")


def _one_structor(name: str) -> Iterator[str]:
    """The pieces of a mangled C++ name, with one kind of constructor and destructor for all."""
    at = 0
    while at < len(name):
        found = _LENGTH.match(name, at)
        if found is not None:  # an identifier, whose text must not be taken for codes
            end = found.end() + (int(found[0]) if len(found[0]) < 5 else len(name))
            yield name[at:end]
            at = end
        elif (whole := _LITERAL.match(name, at) or _SEQUENCE.match(name, at)) is not None:
            yield whole[0]
            at = whole.end()
        elif (structor := _STRUCTOR.match(name, at)) is not None:
            yield structor[1] + "1"
            at = structor.end()
        else:
            yield name[at]
            at += 1


_FUNCTIONS: Final = Memo(_function_of, _CACHED)
