"""app/privacy/audit.py: how an audit is shared out, sampled and put together again."""

import pytest

from agents.privacy.audit.topic_words import WordPlace
from agents.privacy.verifier import PrivacyFinding, Verifier
from app.kafka.records import OffsetRange
from app.privacy import audit
from app.privacy.audit import FindingAt, PartFindings, joined


def _offsets(ranges: list[OffsetRange]) -> list[tuple[int, int]]:
    return [(one.partition, offset) for one in ranges for offset in range(one.first, one.next)]


WINDOW = [OffsetRange(0, 100, 1_700), OffsetRange(2, 0, 3), OffsetRange(5, 7, 7), OffsetRange(6, 40, 2_040)]


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_processes_share_every_offset(processes: int) -> None:
    """Each looks at about as many as the others, and no offset is left out or looked at twice."""
    shares = audit._shared(WINDOW, processes)
    assert [offset for share in shares for offset in _offsets(share)] == _offsets(WINDOW)
    assert len(shares) <= processes
    assert max(map(len, map(_offsets, shares))) <= -(-len(_offsets(WINDOW)) // processes)


def test_nothing_is_one_empty_share() -> None:
    """An empty topic is looked at by one process."""
    assert audit._shared([], 4) == [[]]


@pytest.mark.parametrize("sample", [1, 10, 500, 1_234, 3_000])
def test_sample_is_spread_over_the_window(sample: int) -> None:
    """About as many offsets as were asked for, in blocks that begin at the same distance from each other."""
    chosen = _offsets(list(audit._sampled(WINDOW, sample)))
    assert len(chosen) == len(set(chosen)) <= sample
    assert len(chosen) >= sample * 0.9 - 3
    assert set(chosen) <= set(_offsets(WINDOW))
    if sample > 1_000:
        assert {partition for partition, _ in chosen} >= {0, 6}


def test_sample_of_more_than_there_is_takes_all() -> None:
    """So does none."""
    assert list(audit._sampled(WINDOW, 10_000)) == list(audit._sampled(WINDOW, None)) == WINDOW


def test_parts_are_put_together_with_what_only_comparing_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings are in the order of their positions; of those without room only the number is kept."""
    monkeypatch.setattr(audit, "MAX_FINDINGS", 3)
    parts = []
    for number, program in enumerate(("mailer", "syncer")):
        part, verifier = PartFindings(records=10), Verifier()
        part.add(FindingAt(1 - number, 5, PrivacyFinding("process.arguments", "home")))
        record = {"process": {"binary": f"/bin/{program}", "arguments": "run k9x2vq7m"}}
        assert list(verifier.findings(record, "", number, 8)) == []
        part.topic = verifier.topic
        parts.append(part)
    whole = joined(parts)
    assert whole.records == 20
    assert whole.by_rule == {"home": 2, "recurring-word": 2}
    assert [(one.partition, one.offset, one.finding.rule) for one in whole.findings] == [
        (0, 5, "home"),
        (0, 8, "recurring-word"),
        (1, 5, "home"),
    ]
    assert WordPlace(0, 8, "process.arguments", "mailer") in {place for place, _ in whole.topic.findings()}
