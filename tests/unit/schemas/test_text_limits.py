"""schemas/text_limits.py: what is cut, and that it keeps its identity."""

from schemas.text_limits import MAX_PLACE_CHARS, MAX_SYMBOL_CHARS, cut_place, cut_symbol


def test_what_is_within_its_limit_stays() -> None:
    """To the last character."""
    assert cut_place("p" * MAX_PLACE_CHARS) == "p" * MAX_PLACE_CHARS
    assert cut_symbol("s" * MAX_SYMBOL_CHARS) == "s" * MAX_SYMBOL_CHARS


def test_what_is_longer_is_cut_and_differs_from_all_others() -> None:
    """The digest is of the whole text; lone surrogates are text, too."""
    texts = ["p" * 600, "p" * 601, "p" * 599 + "q", "\ud800" * 600]
    cut = [cut_place(text) for text in texts]
    assert {len(text) for text in cut} == {MAX_PLACE_CHARS}
    assert len(set(cut)) == len(texts)
    assert cut[0] == cut_place(texts[0])
    assert cut[0].startswith("p" * 479 + "~")
