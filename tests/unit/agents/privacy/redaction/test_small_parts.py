"""agents/privacy: gate, scan, masks, words, shadow, value_ranges and pseudonyms, each by itself."""

import pytest

from agents.privacy.matching.gate import Gate, PatternError, compiled
from agents.privacy.matching.masks import CREDENTIAL, REDACTED, Mask, merged, spliced
from agents.privacy.matching.scan import MAX_MATCHES, Scan
from agents.privacy.pseudonyms import NameDomain, Pseudonyms, WeakKeyError
from agents.privacy.redaction.shadow import shadow_of
from agents.privacy.rules.command_words import MAX_WORDS, command_words, read_commands
from agents.privacy.rules.value_ranges import enclosing, quoted


def test_gate_answers_with_its_sentinel_and_what_matches() -> None:
    """Pattern i has the number i + 1; 0 is always there."""
    gate = Gate(["abc", r"\d+"])
    assert set(gate.matching(b"nothing")) == {0}
    assert set(gate.matching(b"ABC 12")) == {0, 1, 2}
    assert set(gate.matching(b"")) == {0}


def test_gate_refuses_a_pattern_that_does_not_compile() -> None:
    """A broken pattern is a broken policy."""
    with pytest.raises(PatternError):
        Gate(["(["])
    with pytest.raises(PatternError):
        compiled("é")


def test_scan_is_exhausted_when_its_budget_is_spent() -> None:
    """It says so and finds nothing, because that would be too little."""
    scan = Scan("a" * (MAX_MATCHES + 5), b"a" * (MAX_MATCHES + 5))
    assert scan.matches(compiled("a")) == []
    assert scan.exhausted
    assert not Scan("a", b"a").exhausted


def test_overlapping_masks_become_one_with_the_stronger_replacement() -> None:
    """A secret inside a path, and a path inside a secret."""
    found = merged(
        [Mask(4, 9, "~", "home"), Mask(0, 6, REDACTED, "option"), Mask(9, 12, CREDENTIAL, "credential-path")]
    )
    assert found == [Mask(0, 9, REDACTED, "option"), Mask(9, 12, CREDENTIAL, "credential-path")]


def test_splice_leaves_what_is_masked_already() -> None:
    """Neither text nor counts change, also where a rule saw the mask without its bracket."""
    text = f"a {REDACTED} b"
    assert spliced(text, [Mask(2, 2 + len(REDACTED), REDACTED, "x")]) == (text, ())
    assert spliced(text, [Mask(2, 1 + len(REDACTED), REDACTED, "x")]) == (text, ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b  c", ["a", "b", "c"]),
        ('a "b c" d', ["a", "b c", "d"]),
        ('"b c"', ["b c"]),
        ("-p'x y' z", ["-p'x y'", "z"]),
        ('--a="x y" z', ['--a="x y"', "z"]),
        ('a "never closed', ["a", "never closed"]),
        ('"a "b" c"', ['a "b', 'c"']),
        ("it's fine", ["it's", "fine"]),
        ("", []),
        ("   ", []),
    ],
)
def test_words_are_those_that_the_agent_joined(text: str, words: list[str]) -> None:
    """As far as a lossy form can be read."""
    found = command_words(text)
    assert [text[word.inner : word.inner_end] for word in found] == words


def test_words_are_read_up_to_a_limit() -> None:
    """Whoever asks learns where the reader stopped."""
    found = read_commands("a " * MAX_WORDS + "b c")
    assert len(found.words) == MAX_WORDS
    assert found.stopped == 2 * MAX_WORDS


def test_quotes_close_where_no_word_goes_on() -> None:
    """Tetragon escapes nothing, so a quote inside of a word does not end it."""
    text = 'x "a"b c" d'
    assert text[slice(*quoted(text, 2))] == 'a"b c'


def test_enclosing_finds_the_argument_around_a_position() -> None:
    """An apostrophe in a word opens nothing."""
    text = 'sh -c "a b" c'
    found = enclosing(text, text.index("b"))
    assert found is not None
    assert text[slice(*found)] == "a b"
    assert enclosing("it's b", 5) is None


def test_shadow_maps_back_to_the_original() -> None:
    """What vanished inside a mask belongs to it."""
    shadow = shadow_of("p\u200bass=\ufb01x")
    assert shadow is not None
    assert shadow.plain == "pass=fix"
    assert shadow.original(0, 4) == (0, 5)
    assert shadow.original(5, 8) == (6, 8)


def test_shadow_of_a_lone_surrogate_is_none() -> None:
    """It has no UTF-8 form."""
    assert shadow_of("a\udc00") is None


def test_pseudonym_compares_within_domain_and_epoch_only() -> None:
    """The same name under the same key, and nothing else."""
    key = b"0123456789abcdef"
    token = Pseudonyms(key, "1").of(NameDomain.USER, "ann")
    assert token == Pseudonyms(key, "1").of(NameDomain.USER, "ann")
    others = {
        Pseudonyms(key, "2").of(NameDomain.USER, "ann"),
        Pseudonyms(key, "1").of(NameDomain.HOME, "ann"),
        Pseudonyms(key, "1").of(NameDomain.USER, "bob"),
        Pseudonyms(key[::-1], "1").of(NameDomain.USER, "ann"),
    }
    assert token not in others
    assert len(others) == 4
    assert token.startswith("[user:1:")
    assert "ann" not in token


def test_pseudonyms_show_no_key_and_take_no_short_one() -> None:
    """A key that can be guessed does not protect anyone."""
    assert "0123456789" not in repr(Pseudonyms(b"0123456789abcdef", "1"))
    with pytest.raises(WeakKeyError, match="15 bytes"):
        Pseudonyms(b"0123456789abcde", "1")
