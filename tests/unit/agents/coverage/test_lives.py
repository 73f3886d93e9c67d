"""From when to when a node owes: boots, creations, and the word of those who may know that it is gone."""

from agents.coverage.interval import Interval
from agents.coverage.lives import FOREVER_NS, Life, lives
from agents.coverage.told import MAX_TOLD, Told
from schemas.coverage import CoverageGap, GapCause


def beat(from_ns: int, to_ns: int, boot: tuple[str, int] | None = None) -> CoverageGap:
    """A heartbeat of a node that was booted as it says."""
    boot_id, boot_ns = boot or (None, None)
    return CoverageGap(
        node="a", from_ns=from_ns, to_ns=to_ns, cause=GapCause.HEARTBEAT, boot_id=boot_id, boot_ns=boot_ns
    )


def word(cause: GapCause, at_ns: int, said_ns: int, by: str = "operator") -> CoverageGap:
    """What an authority says of it."""
    return CoverageGap(node="a", from_ns=at_ns, to_ns=said_ns, cause=cause, said_by=by)


def lived(*records: CoverageGap) -> list[Life]:
    """The lives by these records."""
    told = Told()
    told.add(records)
    texts, numbers = iter(told.texts()), iter(told.numbers())
    beats = [Interval(one.from_ns, one.to_ns) for one in records if one.cause is GapCause.HEARTBEAT]
    return lives(Told.unpacked(numbers, texts), beats)


def test_a_node_owes_from_its_boot_on_and_does_not_end_by_itself() -> None:
    """Not from the first time that it was vouched for; silence is no end."""
    assert lived(beat(50, 60, ("x", 20))) == [Life(20, FOREVER_NS, None)]
    assert lived(beat(50, 60)) == [Life(50, FOREVER_NS, None)]
    assert lived() == []


def test_a_node_that_nobody_vouched_for_owes_from_its_creation() -> None:
    """The authority's word is enough."""
    assert lived(word(GapCause.CREATED, 30, 31, "kubernetes")) == [Life(30, FOREVER_NS, None)]


def test_a_machine_owes_as_a_node_from_its_creation_not_from_its_boot() -> None:
    """It may have waited in a pool. Hearing from it before is another matter."""
    created = word(GapCause.CREATED, 30, 31)
    assert lived(created, beat(40, 60, ("x", 5))) == [Life(30, FOREVER_NS, None)]
    assert lived(created, beat(20, 60, ("x", 5))) == [Life(5, FOREVER_NS, None)]


def test_a_retired_node_owes_no_more_and_the_one_who_said_so_is_named() -> None:
    """It ends at the moment that was told."""
    assert lived(beat(10, 60), word(GapCause.RETIRED, 70, 90)) == [Life(10, 70, "operator")]


def test_hearing_from_a_retired_node_voids_the_word() -> None:
    """One nanosecond is enough, and so is a later time; a boot in between makes it a new life."""
    gone = word(GapCause.RETIRED, 70, 90)
    assert lived(beat(10, 71), gone) == [Life(10, FOREVER_NS, None)]
    assert lived(beat(10, 60), beat(80, 99), gone) == [Life(10, FOREVER_NS, None)]
    reborn = beat(80, 99, ("second", 75))
    assert lived(beat(10, 60), reborn, gone) == [Life(10, 70, "operator"), Life(75, FOREVER_NS, None)]
    assert lived(beat(10, 72), reborn, gone) == [Life(10, FOREVER_NS, None)]


def test_a_name_that_is_given_again_has_two_lives() -> None:
    """Deletion and creation by the cluster's own word; nobody owes for the time between."""
    found = lived(
        word(GapCause.CREATED, 10, 11, "kubernetes"),
        word(GapCause.RETIRED, 40, 41, "kubernetes"),
        word(GapCause.CREATED, 60, 61, "kubernetes"),
        beat(12, 39),
        beat(65, 80, ("second", 50)),
    )
    assert found == [Life(10, 40, "kubernetes"), Life(60, FOREVER_NS, None)]


def test_an_undone_retirement_never_was_and_may_be_said_again() -> None:
    """The order in which the records come does not matter; nobody undoes another one's word."""
    gone, undone = word(GapCause.RETIRED, 70, 90), word(GapCause.RETIREMENT_UNDONE, 70, 95)
    assert lived(beat(10, 60), gone, undone) == lived(undone, beat(10, 60), gone) == [Life(10, FOREVER_NS, None)]
    again = word(GapCause.RETIRED, 80, 99)
    assert lived(beat(10, 60), gone, again, undone) == [Life(10, 80, "operator")]
    other = word(GapCause.RETIRED, 75, 80, "kubernetes")
    assert lived(beat(10, 60), other, undone) == [Life(10, 75, "kubernetes")]


def test_too_many_boots_cost_certainty_and_never_a_life() -> None:
    """Of what is forgotten the node owes all."""
    boots = [beat(100 * n + 10, 100 * n + 20, (str(n), 100 * n)) for n in range(1, MAX_TOLD + 5)]
    gone = [word(GapCause.RETIRED, 100 * n + 50, 100 * n + 51) for n in range(1, MAX_TOLD + 5)]
    told = Told()
    told.add([*boots, *gone])
    assert len(told.boots) == len(told.words) == MAX_TOLD
    assert told.forgotten_ns > 400
