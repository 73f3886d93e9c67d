"""For how long the events of all nodes are complete: nothing is claimed that nobody vouched for."""

import pytest

from agents.coverage.completeness import SILENCE_NS, UNVOUCHED, Completeness, MissingInterval, completeness
from agents.coverage.interval import Interval
from agents.coverage.node_coverage import GapInterval, NodeCoverage

HOUR = 3_600_000_000_000
NOW = 100 * HOUR


def node(*windows: tuple[int, int], gaps: tuple[GapInterval, ...] = (), known_from: int | None = None) -> NodeCoverage:
    """A node that was vouched for in these hours."""
    return NodeCoverage([Interval(a * HOUR, b * HOUR) for a, b in windows], gaps, known_from)


def test_nobody_vouches() -> None:
    """Without a node, or with nodes that were silent before the beginning, nothing is said."""
    assert completeness({}, HOUR, NOW) == Completeness()
    assert completeness({"gone": node((0, 9))}, 10 * HOUR, NOW) == Completeness()


def test_the_last_node_to_report_bounds_what_is_complete() -> None:
    """Nodes vouch at different moments."""
    nodes = {"a": node((0, 50)), "b": NodeCoverage([Interval(0, 50 * HOUR - SILENCE_NS)])}
    found = completeness(nodes, 10 * HOUR, NOW)

    assert (found.until_ns, found.complete_ns) == (50 * HOUR - SILENCE_NS, 40 * HOUR - SILENCE_NS)
    assert (found.nodes, found.gaps) == (2, ())


@pytest.mark.parametrize(
    ("nodes", "complete_hours", "missing"),
    [
        ({"a": node((0, 20), (22, 50))}, 38, [(20, 22, "a", UNVOUCHED)]),
        ({"a": node((0, 50)), "silent": node((0, 30))}, 20, [(30, 50, "silent", UNVOUCHED)]),
        ({"a": node((0, 50)), "joined": node((30, 50))}, 40, []),
        ({"a": node((15, 50))}, 35, [(10, 15, "", UNVOUCHED)]),
        ({"a": node((0, 50), gaps=(GapInterval(5 * HOUR, 12 * HOUR, "Overflow"),))}, 38, [(10, 12, "a", "Overflow")]),
        ({"a": node((0, 50), gaps=(GapInterval(12 * HOUR, 12 * HOUR, "Overflow"),))}, 40, [(12, 12, "a", "Overflow")]),
        ({"a": node((0, 50), gaps=(GapInterval(5 * HOUR, 10 * HOUR, "Overflow"),))}, 40, []),
        ({"a": node((20, 50), known_from=20 * HOUR)}, 30, [(10, 20, "", UNVOUCHED), (10, 20, "a", UNVOUCHED)]),
        (
            {"a": node((0, 20), (22, 50)), "b": node((0, 21), (23, 50))},
            37,
            [(21, 23, "b", UNVOUCHED), (20, 22, "a", UNVOUCHED)],
        ),
    ],
)
def test_what_is_missing_is_named_and_does_not_count(
    nodes: dict[str, NodeCoverage], complete_hours: int, missing: list[tuple[int, int, str, str]]
) -> None:
    """Gaps, breaks, silence and a late beginning; a node that joins later is none."""
    found = completeness(nodes, 10 * HOUR, NOW)

    assert found.until_ns == 50 * HOUR
    assert found.complete_ns == complete_hours * HOUR
    assert list(found.gaps) == [MissingInterval(a * HOUR, b * HOUR, name, cause) for a, b, name, cause in missing]


def test_a_clock_that_runs_ahead_makes_no_other_node_silent() -> None:
    """What is vouched for in the future counts up to now."""
    found = completeness({"ahead": node((0, 1000)), "a": node((0, 100))}, 10 * HOUR, NOW)

    assert (found.until_ns, found.gaps) == (NOW, ())
