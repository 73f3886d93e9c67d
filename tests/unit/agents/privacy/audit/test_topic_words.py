"""agents/privacy/audit: what the texts of a topic say together and none of them alone."""

from agents.privacy.verifier import Verifier


def _compared(*lines: str) -> set[tuple[int, str]]:
    """Numbers of the lines that only comparing finds, and by which rule."""
    verifier = Verifier()
    for number, line in enumerate(lines):
        program, _, arguments = line.partition(" ")
        record = {"process": {"binary": f"/usr/bin/{program}", "arguments": arguments}}
        assert list(verifier.findings(record, offset=number)) == []
    return {(place.offset, finding.rule) for place, finding in verifier.compared()}


def test_a_place_that_is_masked_elsewhere_and_open_once_is_reported() -> None:
    """The same option of the same program; of another program it says nothing."""
    digest = "9f86d081884c7d659a2feaa0c55ad015"
    assert _compared(f"hatchctl --badge {digest}", "hatchctl --badge [redacted]") == {(0, "unmasked-slot")}
    assert _compared(f"hatchctl --badge {digest}", "otherctl --badge [redacted]") == set()
    assert _compared("hatchctl --badge north", "hatchctl --badge [redacted]") == set()


def test_a_strange_word_that_comes_back_in_another_program_is_reported() -> None:
    """Names of machines come back, too, and are not strange."""
    assert _compared("mailer run k9x2vq7m", "syncer k9x2vq7m north") == {(0, "recurring-word"), (1, "recurring-word")}
    assert _compared("mailer run k9x2vq7m", "mailer stop k9x2vq7m") == set()
    assert _compared("mailer run worker-02", "syncer worker-02 north") == set()


def test_a_phrase_of_rare_words_is_reported_and_a_name_is_not() -> None:
    """Words of a trade stand in many texts."""
    trade = [f"kubectl get harbour tide crane pilot {number}" for number in range(3)]
    assert _compared("boxctl open orbit-velvet-pickle-thunder", *trade) == {(0, "word-phrase")}
    assert _compared("boxctl open harbour-tide-crane-pilot", *trade) == set()


def test_parts_of_a_topic_say_together_what_the_whole_says() -> None:
    """Processes that read a part each are merged."""
    parts = [Verifier(), Verifier()]
    for number, (part, program) in enumerate(zip(parts, ("mailer", "syncer"), strict=True)):
        record = {"process": {"binary": f"/bin/{program}", "arguments": "run k9x2vq7m"}}
        assert list(part.findings(record, partition=number)) == []
        assert list(part.compared()) == []
    parts[0].topic.merge(parts[1].topic)
    assert {(place.partition, finding.rule) for place, finding in parts[0].compared()} == {
        (0, "recurring-word"),
        (1, "recurring-word"),
    }
