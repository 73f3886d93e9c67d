"""Records that stand here and there are read in few runs."""

from app.dead_letters.scattered import nearby


def test_positions_that_are_close_are_read_in_one_run() -> None:
    """A letter a million records away does not make the reader fetch what lies between."""
    assert list(nearby([900, 1, 2, 1_000_000, 1_000_001])) == [[1, 2, 900], [1_000_000, 1_000_001]]
    assert list(nearby([])) == []
