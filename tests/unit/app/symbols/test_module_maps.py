"""Which file lies at a path: by time, by machine, and not at all if it may be one of several."""

import pytest

from agents.symbols.lookup import Unresolved
from app.symbols.module_maps import (
    MappedFile,
    changes,
    decode_module_map,
    encode_module_map,
    file_at,
    merged,
)
from app.symbols.snapshot import SymbolStoreError

A, B, C = "aa" * 20, "bb" * 20, "cc" * 20
X86, ARM = 62, 183
AMBIGUOUS = Unresolved.AMBIGUOUS
HOUR = 3_600 * 10**9


def test_newer_file_names_no_older_event() -> None:
    """Each file holds from its time on, and until the next one."""
    files = merged((), [MappedFile(A, X86, 100 * HOUR), MappedFile(B, X86, 200 * HOUR)])
    times = [100 * HOUR - 1, 100 * HOUR, 199 * HOUR, 201 * HOUR, 999 * HOUR]

    assert [file_at(files, time, None) for time in times] == [None, A, A, B, B]


def test_near_a_change_neither_file_is_sure() -> None:
    """A quarter of an hour before and after: the clock of the event or of the file may have been wrong."""
    files = merged((), [MappedFile(A, X86), MappedFile(B, X86, 200 * HOUR)])
    quarter = HOUR // 4
    times = [200 * HOUR + apart for apart in (-quarter, 1 - quarter, 0, quarter - 1, quarter)]

    assert [file_at(files, time, None) for time in times] == [A, AMBIGUOUS, AMBIGUOUS, AMBIGUOUS, B]
    assert changes(files) == {times[1], times[2], times[4]}


def test_two_files_at_once_are_ambiguous() -> None:
    """Nobody can tell which one an event means; a later file settles it."""
    files = merged((), [MappedFile(A, X86, 100), MappedFile(B, X86, 100), MappedFile(C, X86, 300 * HOUR)])

    assert [file_at(files, time, None) for time in (99, 100, 301 * HOUR)] == [None, AMBIGUOUS, C]


def test_machine_tells_files_apart() -> None:
    """Two architectures under one image: where the event's is known, it decides; elsewhere nobody can tell."""
    files = merged((), [MappedFile(A, X86), MappedFile(B, ARM)])

    assert file_at(files, 1, frozenset({X86})) == A
    assert file_at(files, 1, frozenset({ARM, 40})) == B
    assert file_at(files, 1, frozenset({22})) is None
    assert file_at(files, 1, None) is AMBIGUOUS


def test_file_of_an_unknown_machine_may_run_anywhere() -> None:
    """What an operator wrote down holds on every machine, until a later file takes its place."""
    files = merged((), [MappedFile(A)])
    assert file_at(files, 1, frozenset({X86})) == A

    files = merged(files, [MappedFile(B, X86, 100 * HOUR)])
    assert [file_at(files, time, None) for time in (1, 101 * HOUR)] == [A, B]


@pytest.mark.parametrize(
    ("first", "second", "since"),
    [
        ([MappedFile(A, X86, 100)], [MappedFile(A, X86, 100)], [(A, 100)]),
        ([MappedFile(A, X86, 100)], [MappedFile(A, X86, 200)], [(A, 100)]),  # its entry changed, the file did not
        ([MappedFile(A, X86, 200)], [MappedFile(A, X86, 100)], [(A, 100)]),
        ([MappedFile(A, X86, 100)], [MappedFile(B, X86, 200)], [(A, 100), (B, 200)]),
        ([MappedFile(A, X86, 100), MappedFile(B, X86, 200)], [MappedFile(A, X86, 300)], [(A, 100), (B, 200), (A, 300)]),
    ],
)
def test_what_says_nothing_new_is_left_out(
    first: list[MappedFile], second: list[MappedFile], since: list[tuple[str, int]]
) -> None:
    """A folder that is added every night makes no longer map as long as its files stay."""
    files = merged(merged((), first), second)

    assert [(one.build_id, one.since_ns) for one in files] == since


def test_map_is_text_and_comes_back() -> None:
    """What is not known is left out, so a map of an earlier version is one too."""
    files = {"/a": merged((), [MappedFile(A)]), "/b": merged((), [MappedFile(A, X86, 5), MappedFile(B, X86, 7)])}
    content = encode_module_map(files)

    assert content == f"/a\t{A}\n/b\t{A}\t62\t5\n/b\t{B}\t62\t7\n".encode()
    assert decode_module_map(content) == files


@pytest.mark.parametrize("content", [b"/a\n", b"/a\tb\tc\td\n", b"/a\tb\t1\n", b"/a\tb\t1\t2\t3\n", b"\xff\t\n"])
def test_line_that_is_no_file_is_damage(content: bytes) -> None:
    """A map that cannot be read is not an empty map."""
    with pytest.raises(SymbolStoreError):
        decode_module_map(content)
