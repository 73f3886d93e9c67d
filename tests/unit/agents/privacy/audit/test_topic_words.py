"""agents/privacy/audit: what the texts of a topic say together and none of them alone."""

import pytest

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


SHARED = [
    "48201957",
    "teal&Heron&quay",
    "otter#kettle!moss",
    "mossy77kettle!",
    "Lantern-Thistle-47",
    "gravel^plum^oboe",
]


@pytest.mark.parametrize("value", SHARED)
def test_a_value_that_three_programs_share_is_reported(value: str) -> None:
    """As a bare word, an option's value and in JSON; by two programs, or through a shell and sudo, it says nothing."""
    lines = (f"mailer open {value} now", f"syncer --gate {value}", f'poster -d {{"gate":"{value}"}}')
    assert _compared(*lines) == {(number, "recurring-word") for number in range(3)}
    assert _compared(*lines[:2]) == set()
    assert _compared(lines[0], f"mailer2 open {value}", f"sh -c 'mailer open {value}'", f"sudo open {value}") == set()


ORDINARY = [
    "20261201", "01122026", "1764558900", "16777216", "33554431", "10000000", "65535000", "11112222",
    "en_US.UTF-8", "utf8mb4_general_ci", "feature-login-17", "worker-blue-02", "x86_64-linux-gnu", "application/json",
    "image/svg+xml", "1.2.3~rc1+dfsg", "HEAD~12345", "release-4.2^", "nixpkgs#hello", "Content-Type", "libstdc++6",
    "lib*.so.6", "report-%d.txt", "name=north&size=12", "i-0abcd1234ef567890", "Finished!", "C++17-standard",
    "Debian-12-Slim", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "gateway@north", "Ubuntu-22.04",
    "base64$encoded", "$HOME$other", "50%25done", "db01.example.net:5432",
]  # fmt: skip


@pytest.mark.parametrize("value", ORDINARY)
def test_ordinary_values_that_many_programs_share_are_not_reported(value: str) -> None:
    """Dates, sizes, locales, branches, versions, kinds of media, patterns and identifiers have a reason to recur."""
    assert (
        _compared(*(f"{program} open {value} north" for program in ("mailer", "syncer", "poster", "lister"))) == set()
    )


def test_a_shared_value_that_names_something_is_not_reported() -> None:
    """A number that is an amount, a part of a path, a pod's name, and words that the topic says elsewhere."""
    programs = ("mailer", "syncer", "poster")
    assert _compared(*(f"{program} --block-size 48201957" for program in programs)) == set()
    lines = [f"{program} open Lantern-Thistle-47" for program in programs]
    assert _compared(*lines, "tar -cf /srv/Lantern-Thistle-47/data") == set()
    assert _compared(*lines, *(f"lister show lantern thistle {number}" for number in range(3))) == set()
    verifier = Verifier()
    for number, line in enumerate(lines):
        binary, _, arguments = line.partition(" ")
        record = {"process": {"binary": binary, "arguments": arguments, "pod_name": "Lantern-Thistle-47"}}
        assert list(verifier.findings(record, offset=number)) == []
    assert list(verifier.compared()) == []
