"""Which functions an IFUNC chooses among, by their names: a rule, since no table of a file says it.

- glibc calls the implementations of `strlen` `__strlen_avx2`, `__strlen_evex`, `__strlen_sse2`: two underscores, the
  name, and words for what the processor must have (sysdeps/x86_64/multiarch, sysdeps/aarch64/multiarch).
- GCC and clang call the versions of `target_clones` and `target_version` `checksum.avx2`, `checksum.default`,
  `checksum.arch_haswell`, and on AArch64 `checksum._Msve`; clang may append a number (`checksum.avx2.0`). The function
  that chooses is `checksum.resolver` or `checksum.ifunc`.

Every word behind the name must be such a word, so `__memcpy_chk` is another function than `memcpy`.
"""

import re
from typing import Final

_PROCESSOR_WORD: Final = re.compile(
    r"default|generic|c|sse\d*|ssse3|sse4|x86|i[3-6]86|ia32|avx\d*|avx512\w*|evex\d*|fma\d?|bmi\d?|lzcnt|popcnt|movbe"
    r"|rtm|erms|unaligned|aligned|back|slow|no|vzeroupper|prefetch|wmem|sandybridge|ivybridge|haswell|skylake|znver\d"
    r"|atom|silvermont|knl|core\d?|asimd|neon|sve\d?|sme|mte|mops|oryon1|thunderx\d?|falkor|kunpeng920|emag|a64fx|zva\d*"
    r"|altivec|vsx|power\d+|ppc\d*|z\d+|z900|g5|vx|lsx|lasx|rvv|vector|noalignment|crc|lse|simd|dotprod|fp16|aes|ultra"
)
_ARCHITECTURE: Final = re.compile(r"arch_\w+|_M\w+")
_NUMBER: Final = re.compile(r"\.?\d+")


def implements(candidate: str, name: str) -> bool:
    """Whether `candidate` is named as an implementation of the IFUNC `name`."""
    if candidate == name:
        return False
    if candidate.startswith(name + "."):
        clone, _, number = candidate[len(name) + 1 :].partition(".")
        if number and _NUMBER.fullmatch(number) is None:
            return False
        return _ARCHITECTURE.fullmatch(clone) is not None or _are_processor_words(clone)
    bare, asked = candidate.lstrip("_"), name.lstrip("_")
    return bare.startswith(asked + "_") and _are_processor_words(bare[len(asked) + 1 :])


def _are_processor_words(text: str) -> bool:
    """Whether a suffix begins with such a word and goes on with such words or numbers, as `sse4_2` does."""
    first, *others = text.split("_")
    return _PROCESSOR_WORD.fullmatch(first) is not None and all(
        _PROCESSOR_WORD.fullmatch(word) or _NUMBER.fullmatch(word) for word in others
    )
