"""The audit finds secrets that the filter let out, planted by somebody who has read neither of the two."""

from pathlib import Path

import pytest

from tests.support.planted_kinds import PLANTED, judge_planted, read_planted


@pytest.mark.parametrize("file", sorted(PLANTED.glob("*.jsonl")), ids=lambda file: file.stem)
def test_audit_finds_three_of_four_planted_kinds(file: Path) -> None:
    """And reports one clean call in 10,000 at most; a kind that the filter has learned to mask says nothing."""
    judgement = judge_planted(read_planted(file))
    counted = [kind for kind in judgement.kinds if kind.counts]
    assert 2 * len(counted) >= len(judgement.kinds), "the filter masks most of the kinds: the file needs others"
    assert 4 * sum(kind.is_found for kind in counted) >= 3 * len(counted), judgement
    assert judgement.alarms * 10_000 <= judgement.clean, judgement
