"""agents/memo.py."""

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
