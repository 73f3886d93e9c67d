"""What new topics get where nobody has said so."""

from collections.abc import Mapping

import pytest

from app.provision.sizing import CountFrom, choose
from schemas.topics import CALLS, COVERAGE, RAW


@pytest.mark.parametrize(
    ("brokers", "partitions", "replicas", "existing", "wanted"),
    [
        (1, None, None, {}, (4, CountFrom.RULE, 1, 1)),
        (2, None, None, {}, (4, CountFrom.RULE, 1, 1)),
        (3, None, None, {}, (12, CountFrom.RULE, 3, 2)),
        (9, None, None, {}, (12, CountFrom.RULE, 3, 2)),
        (3, 30, None, {RAW: 4}, (30, CountFrom.GIVEN, 3, 2)),
        (3, None, 2, {}, (12, CountFrom.RULE, 2, 1)),
        (5, None, 5, {}, (12, CountFrom.RULE, 5, 4)),
        (3, None, None, {RAW: 8, CALLS: 2, COVERAGE: 2}, (8, CountFrom.EXISTING, 3, 2)),
        (3, None, None, {CALLS: 2, COVERAGE: 2, "other": 5}, (2, CountFrom.EXISTING, 3, 2)),
    ],
)
def test_what_is_given_wins_over_what_is_there_and_that_over_the_rule(
    brokers: int,
    partitions: int | None,
    replicas: int | None,
    existing: Mapping[str, int],
    wanted: tuple[int, CountFrom, int, int],
) -> None:
    """Three copies need three brokers, and then one may be away without a stop."""
    found = choose(brokers=brokers, partitions=partitions, replicas=replicas, existing=existing)
    assert (found.partitions, found.reason, found.replicas, found.in_sync) == wanted
