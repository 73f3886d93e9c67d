"""No file makes the reader crash, hang or exceed its limits; what it refuses it refuses by reason."""

import lzma
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.symbols import symbol_tables
from app.symbols.file_refusal import FileRefusalReason
from app.symbols.limited_reader import FileRefusal, LimitedReader
from app.symbols.reader import Built
from tests.support.elf_files import ElfFile, ElfSegment, ElfSymbol
from tests.support.programs import compile_c, compile_go

FUNCTIONS = tuple(ElfSymbol(f"f{i}", 0x1000 + 16 * i, 16) for i in range(20))
SMALL = ElfFile(FUNCTIONS, dynsym=FUNCTIONS[:5]).encode()
NASTY = [0, 1, 3, 4, 0x18, 0xFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 2**63 - 1, 2**63, 2**64 - 1]
FINE = {
    FileRefusalReason.NOT_ELF,
    FileRefusalReason.NOT_LINKED,
    FileRefusalReason.MALFORMED,
    FileRefusalReason.OVER_LIMIT,
    FileRefusalReason.NO_CODE,
}


@st.composite
def mutations(draw: st.DrawFn) -> list[tuple[float, int, int]]:
    """Where (as a share of the file), which number, how many bytes wide."""
    return draw(
        st.lists(
            st.tuples(st.floats(0, 0.999), st.sampled_from(NASTY), st.sampled_from([1, 2, 4, 8])),
            min_size=1,
            max_size=6,
        )
    )


def mutated(content: bytes, changes: list[tuple[float, int, int]], headers: bool) -> bytes:
    """The content with numbers overwritten: anywhere, or in the headers at the start and at the end of a file."""
    changed = bytearray(content)
    for share, number, width in changes:
        span = min(len(changed), 512) if headers else len(changed)
        at = int(share * span) // width * width
        if headers and share > 0.5:
            at = max(0, len(changed) - 1024 + at)
        changed[at : at + width] = (number & (1 << 8 * width) - 1).to_bytes(width, "little")
    return bytes(changed[: len(content)])


@pytest.fixture(scope="module")
def reader() -> LimitedReader:
    """One process for all examples, with a limit in which a hang would show."""
    return LimitedReader(seconds=30)


@pytest.fixture(scope="module", params=["small", "c", "go"])
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file to spoil: made by hand, by gcc with debug information, by Go."""
    folder = tmp_path_factory.mktemp("original")
    match request.param:
        case "c":
            return compile_c(folder, "-O1", "-g").read_bytes()
        case "go":
            return compile_go(folder, "-ldflags=-s").read_bytes()
        case _:
            return SMALL


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(changes=mutations(), headers=st.booleans(), kept=st.floats(0, 1), cut=st.booleans())
def test_spoiled_file_is_indexed_or_refused(
    *,
    original: bytes,
    reader: LimitedReader,
    tmp_path: Path,
    changes: list[tuple[float, int, int]],
    headers: bool,
    kept: float,
    cut: bool,
) -> None:
    """Overwritten numbers and truncation end in an index or in a reason, in the same process."""
    content = mutated(original, changes, headers)
    path = tmp_path / "spoiled"
    path.write_bytes(content[: int(kept * len(content))] if cut else content)

    answer = reader.build(path, None, tmp_path / "index", with_lines=True)

    assert isinstance(answer, Built) or answer.reason in FINE, answer


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("entries of no size", ElfFile(FUNCTIONS, entry_size=0).encode(), FileRefusalReason.MALFORMED),
        (
            "a segment of 2^63 bytes",
            ElfFile(segments=(ElfSegment(0x1000, 2**63, 0),)).encode(),
            FileRefusalReason.MALFORMED,
        ),
        ("65,535 sections", SMALL[:60] + b"\xff\xff" + SMALL[62:], FileRefusalReason.OVER_LIMIT),
        ("65,534 segments", SMALL[:56] + b"\xfe\xff" + SMALL[58:], FileRefusalReason.OVER_LIMIT),
        (
            "no xz data",
            ElfFile(extra=((".gnu_debugdata", b"\xfd7zXZ\0nonsense"),)).encode(),
            FileRefusalReason.MALFORMED,
        ),
    ],
)
def test_lie_is_refused_by_its_reason(tmp_path: Path, name: str, content: bytes, reason: FileRefusalReason) -> None:
    """Known attacks end at a limit, not at the machine's."""
    (tmp_path / "lie").write_bytes(content)
    with LimitedReader(seconds=60) as reader:
        answer = reader.build(tmp_path / "lie", None, tmp_path / "index", with_lines=True)

    assert isinstance(answer, FileRefusal), name
    assert answer.reason is reason


def test_xz_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """A few kB of .gnu_debugdata that unpack to more than the limit cost the limit at most."""
    packer = lzma.LZMACompressor(preset=0)
    zeros = bytes(2**24)
    packed = b"".join(packer.compress(zeros) for _ in range(symbol_tables.MAX_DEBUGDATA_BYTES // len(zeros) + 1))
    (tmp_path / "bomb").write_bytes(ElfFile(extra=((".gnu_debugdata", packed + packer.flush()),)).encode())
    with LimitedReader(seconds=60) as reader:
        answer = reader.build(tmp_path / "bomb", None, tmp_path / "index", with_lines=False)

    assert isinstance(answer, FileRefusal)
    assert answer.reason is FileRefusalReason.OVER_LIMIT


def test_symbols_that_all_share_one_long_name_are_bounded(tmp_path: Path) -> None:
    """A string without an end does not make every symbol megabytes long."""
    endless = ElfFile(tuple(ElfSymbol("x" * 40_000 if i == 0 else f"f{i}", 0x1000, 16) for i in range(10)))
    (tmp_path / "endless").write_bytes(endless.encode())
    with LimitedReader(seconds=60) as reader:
        answer = reader.build(tmp_path / "endless", None, tmp_path / "index", with_lines=False)

    assert isinstance(answer, Built)
    assert (tmp_path / "index").stat().st_size < 1_000
