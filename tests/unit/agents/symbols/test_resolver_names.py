"""Which functions are named as those that an IFUNC chooses among."""

import pytest

from agents.symbols.resolver_names import implements


@pytest.mark.parametrize(
    ("candidate", "name"),
    [
        ("__strlen_avx2", "strlen"),
        ("__strlen_avx2_rtm", "strlen"),
        ("__memmove_avx512_unaligned_erms", "memmove"),
        ("__memcpy_chk_avx_unaligned", "__memcpy_chk"),
        ("__strcasecmp_l_sse4_2", "strcasecmp_l"),
        ("__sin_fma4", "sin"),
        ("__floor_sse41", "floor"),
        ("__memcpy_thunderx2", "memcpy"),
        ("checksum.avx2", "checksum"),
        ("checksum.default", "checksum"),
        ("checksum.sse4_2.0", "checksum"),
        ("checksum.arch_haswell", "checksum"),
        ("checksum._Msve", "checksum"),
    ],
)
def test_implementation(candidate: str, name: str) -> None:
    """The name, then words for a processor."""
    assert implements(candidate, name)


@pytest.mark.parametrize(
    ("candidate", "name"),
    [
        ("strlen", "strlen"),
        ("__memcpy_chk", "memcpy"),
        ("__memcpy_chk_avx_unaligned", "memcpy"),
        ("__strlen_of_line", "strlen"),
        ("strlen_", "strlen"),
        ("checksum.resolver", "checksum"),
        ("checksum.ifunc", "checksum"),
        ("checksum.cold", "checksum"),
        ("checksum.part.0", "checksum"),
        ("checksum.avx2.cold", "checksum"),
        ("checksums.avx2", "checksum"),
    ],
)
def test_other_function(candidate: str, name: str) -> None:
    """Anything else behind the name makes it another function, or a part of one."""
    assert not implements(candidate, name)
