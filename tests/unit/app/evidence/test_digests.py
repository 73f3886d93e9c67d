"""Digests of records: blind to how records were cut, and to nothing else."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evidence.digests import Chain, Columns, RecordDigest, TextDigest, body_digest

RECORDS = [
    (7, 1_800_000_000_000, b"key", b"value"),
    (8, 1_800_000_000_001, None, b""),
    (11, 1_800_000_000_001, b"", None),
    (4_096, -1, b"k", b"v"),
]


def digest(records: Sequence[tuple[int, int, bytes | None, bytes | None]], cuts: Sequence[int] = ()) -> str:
    """Digest of records given in portions that end at `cuts`."""
    made = RecordDigest("test")
    for begin, end in zip([0, *cuts], [*cuts, len(records)], strict=True):
        portion = records[begin:end]
        made.add(Columns(*map(list, zip(*portion, strict=True))) if portion else Columns((), (), (), ()))
    return made.hexdigest()


@given(st.lists(st.integers(0, len(RECORDS)), max_size=6).map(sorted))
def test_the_digest_does_not_depend_on_portions(cuts: list[int]) -> None:
    """However records are cut, empty portions included, the digest is the same."""
    assert digest(RECORDS, cuts) == digest(RECORDS)


@pytest.mark.parametrize("number", range(len(RECORDS)))
@pytest.mark.parametrize(
    "change",
    [
        lambda r: (r[0] + 1, *r[1:]),
        lambda r: (r[0], r[1] + 1, *r[2:]),
        lambda r: (*r[:2], (r[2] or b"") + b"x", r[3]),
        lambda r: (*r[:2], b"" if r[2] is None else None, r[3]),
        lambda r: (*r[:3], (r[3] or b"") + b"x"),
        lambda r: (*r[:3], b"" if r[3] is None else None),
    ],
    ids=["offset", "timestamp", "key", "null key", "value", "null value"],
)
def test_the_digest_depends_on_every_part_of_a_record(number: int, change: object) -> None:
    """A change of position, time, key or value shows, also between null and empty."""
    assert callable(change)
    changed = [*RECORDS]
    changed[number] = change(changed[number])
    assert digest(changed) != digest(RECORDS)


def test_bytes_cannot_move_between_key_and_value_unnoticed() -> None:
    """The same bytes split elsewhere are another record."""
    assert digest([(1, 1, b"ab", b"c")]) != digest([(1, 1, b"a", b"bc")])
    assert digest([(1, 1, b"a", b"b"), (2, 1, b"c", b"d")]) != digest([(1, 1, b"a", b"bc"), (2, 1, b"", b"d")])


def test_the_digest_depends_on_order_and_domain() -> None:
    """Records in another order, or digested as something else, have another digest."""
    assert digest(RECORDS[::-1]) != digest(RECORDS)
    assert RecordDigest("a").hexdigest() != RecordDigest("b").hexdigest()
    assert TextDigest("a").hexdigest() != TextDigest("b").hexdigest()


def test_a_digest_is_known() -> None:
    """The construction is part of the format: a year from now the same records must have this digest."""
    assert digest(RECORDS) == "86f9096aa2a6e3e1e4aa50fe3862182e8778ace3e2f9098e68931ef65c26b35a"


def test_a_chain_covers_everything_before() -> None:
    """A change of any link, or of two links' order, changes the head."""
    one, two = "11" * 32, "22" * 32

    def head(links: Sequence[tuple[int, str]]) -> str:
        chain = Chain("test")
        for number, link in links:
            chain.add(number, link)
        return chain.head

    heads = {
        head(links) for links in ([], [(0, one)], [(0, one), (1, two)], [(1, two), (0, one)], [(0, two), (1, one)])
    }
    assert len(heads) == 5


def test_single_records_differ_by_key_time_and_body() -> None:
    """Copies of one record are equal, and nothing else is."""
    same = body_digest(b"k", 1, b"v")
    assert same == body_digest(b"k", 1, b"v")
    others = [(b"k", 2, b"v"), (b"", 1, b"kv"), (None, 1, b"kv"), (b"kv", 1, b""), (b"k", 1, None), (b"k", 1, b"")]
    assert len({same, *(body_digest(*other) for other in others)}) == len(others) + 1
