"""agents/memo.py."""

from dataclasses import dataclass

from agents.memo import Memo


def test_memo_computes_once_when_a_key_comes_again() -> None:
    """The second lookup of a key does not call the function."""
    calls: list[int] = []

    def compute(key: int) -> int:
        calls.append(key)
        return key * 2

    memo = Memo(compute, max_entries=10)

    assert [memo[3], memo[3], memo[4]] == [6, 6, 8]
    assert calls == [3, 4]


def test_memo_stays_within_two_generations_when_keys_never_repeat() -> None:
    """A flood of distinct keys leaves at most twice the limit in memory."""
    memo: Memo[int, int] = Memo(lambda key: key, max_entries=100)

    for key in range(10_000):
        assert memo[key] == key

    assert len(memo) <= 100
    assert len(memo._old) <= 100


def test_memo_keeps_what_is_used_when_idle_keys_flood_it() -> None:
    """A key that is asked for in every generation is never computed again."""
    computed: list[int] = []

    def compute(key: int) -> int:
        computed.append(key)
        return key

    memo = Memo(compute, max_entries=100)
    for key in range(1, 10_000):
        assert memo[0] == 0
        assert memo[key] == key

    assert computed.count(0) == 1


def test_memo_bounds_the_bytes_of_its_keys() -> None:
    """Long keys of strangers leave as few as fit; also where they are parts of a key, and one alone is too long."""
    memo = Memo[tuple[str, tuple[bytes, int]], int](lambda key: key[1][1], max_entries=1_000, max_bytes=100_000)

    for number in range(1_000):
        assert memo["x" * 10_000, (bytes(10_000), number)] == number
        assert len(memo) <= 4
        assert len(memo._old) <= 4
    assert memo["x" * 200_000, (b"", 7)] == 7
    assert len(memo) == 1
    assert memo["x" * 200_000, (b"", 7)] == 7


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    number: int


def test_memo_bounds_the_bytes_of_texts_in_objects() -> None:
    """What a key holds counts, not only what it is."""
    memo = Memo[_Named, int](lambda key: key.number, max_entries=1_000, max_bytes=100_000)
    for number in range(100):
        assert memo[_Named("x" * 30_000, number)] == number
    assert (len(memo), len(memo._old)) == (1, 3)


def test_short_keys_are_bounded_by_number() -> None:
    """Each generation counts its bytes from zero."""
    memo = Memo[str, int](len, max_entries=10, max_bytes=10_000)
    for number in range(1_000):
        memo[f"{number:09}"]
    assert (len(memo), len(memo._old)) == (10, 10)
