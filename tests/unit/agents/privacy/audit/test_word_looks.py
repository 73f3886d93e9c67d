"""agents/privacy/audit/word_looks.py: words that chance or a person chose, and ordinary ones."""

import random
import string

import pytest

from agents.privacy.audit.word_looks import Look, look_of


@pytest.mark.parametrize(
    "word",
    [
        "Summer2024!",
        "Tr0ub4dor&3",
        "p4ssw0rd",
        "Pa$$w0rd",
        "Acme@2023",
        "letmein1",
        "qwertyuiop1",
        "x9$Kq!vT2#",
        "Benjamin1987",
        "1qaz@WSX3edc",
    ],
)
def test_passwords_that_people_make_up_are_likely(word: str) -> None:
    """A word with a year and a sign, digits for letters, a walk over the keyboard."""
    assert look_of(word) is Look.LIKELY


@pytest.mark.parametrize("length", [20, 24, 32, 40])
def test_words_of_chance_are_likely(length: int, seed: int) -> None:
    """Nearly all random words of both cases and digits; one in a hundred happens to look orderly."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(string.ascii_letters + string.digits, k=length)) for _ in range(400)]
    assert sum(look_of(word) is Look.LIKELY for word in words) >= 380


@pytest.mark.parametrize(
    "word",
    [
        "683e11f4cff5935ddf94f468efe8dcab8f8bab6eb2d1d8b3abe79c8b5ab4006d",
        "0b7e5c1d-3f7a-4e51-9f0c-3f4c2a1d9e77",
        "org.example.QueryableStateDescriptorFactory2Impl",
        "report-builder-6a81fc473f-b4c54",
        "ip-10-0-12-7.eu-west-1.compute.internal",
        "vethd3a1b2c4",
        "2026-01-07T12:00:00.250Z",
        "v1.29.3-eksbuild.1",
        "ECDHE-ECDSA-AES256-CCM8",
        "/usr/lib/x86_64-linux-gnu/libssl.so.3",
        "s/[0-9]*$//g",
        "app::secret::Key::new",
        "x86_64-unknown-linux-gnu",
        "hmacWithSHA512",
        "sqlite3VdbeAddOpList",
        "glTexCoord1dv",
        "_ZN5clang9ASTWriter10AddDeclRefEPKNS_4DeclERN4llvm15SmallVectorImplImEE",
    ],
)
def test_names_of_machines_and_code_are_ordinary(word: str) -> None:
    """Digests, identifiers, names, versions, times and patterns."""
    assert look_of(word) <= Look.NUMBERED
