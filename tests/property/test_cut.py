"""Where one ingest ends in another's events, against a source that knows what it gave to both."""

from random import Random

from app.ingest.cut import find_cut
from tests.support.run_size import run_size

HISTORIES = 400


def test_cut_leaves_what_the_first_did_not_write_and_nothing_else(seed: int) -> None:
    """Both read one order, from and to any place, with repeated events and late arrivals."""
    chance = Random(seed)
    found = 0
    for _ in range(HISTORIES * run_size()):
        order = _order(chance)
        first_end = chance.randrange(1, len(order) + 1)
        tail = order[max(0, first_end - chance.randrange(1, 40)) : first_end]
        begin = chance.randrange(len(order))
        arrived = chance.randrange(begin, len(order) + 1)

        cut = find_cut(tail, order[begin:arrived])

        if cut is None:
            continue
        found += 1
        written = order[begin:first_end]
        assert [begin + number for number in cut.unwritten] == list(range(max(begin, first_end), arrived)), order
        assert sorted(cut.still_to_come.elements()) == sorted(written[arrived - begin :]), order
    assert found > HISTORIES / 10


def test_event_that_the_agent_dropped_for_the_first_is_written_by_the_second(seed: int) -> None:
    """A place is found all the same, and what only the second has is not taken for written."""
    chance = Random(seed)
    for _ in range(HISTORIES * run_size()):
        order = [f"event-{number}" for number in range(chance.randrange(4, 40))]
        lost = chance.randrange(len(order) - 1)
        tail = order[:lost] + order[lost + 1 : -1]

        cut = find_cut(tail, order)

        assert cut is not None
        behind = [order[number] for number in cut.unwritten]
        assert behind in ([order[-1]], [order[lost], order[-1]])
        assert behind == [order[-1]] or lost == len(order) - 2


def _order(chance: Random) -> list[str]:
    order: list[str] = []
    for number in range(chance.randrange(1, 60)):
        same = chance.random() < 0.4
        order += [f"~loader-{number % 4}" if same else f"exec-{number}"] * (chance.randrange(1, 4) if same else 1)
    return order
