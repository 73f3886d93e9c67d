"""Words of an argument string as Tetragon joins it: separated by spaces, quoted if they hold one, nothing escaped.

The agent loses information, so no splitter can be exact, and shell rules (backslashes, adjacent quotes) would be wrong.
A quote opens at the start of a word or right after `=`, `:`, `(` or an option's letter. It closes at the next such
quote that white space or the end follows. A quote that never closes takes the rest. Words carry positions, never
copies.
"""

from typing import Final, NamedTuple

from agents.privacy.rules.value_ranges import word_end

MAX_WORDS: Final = 512
"""Words looked at in one text. Longer command lines are lists of files, and the caller gives up on them."""

_QUOTES: Final = "\"'"


class CommandWord(NamedTuple):
    """`text[start:end]` with its quotes; `text[inner:inner_end]` without. `quoted` when the whole word is."""

    start: int
    end: int
    inner: int
    inner_end: int
    quoted: bool


def command_words(text: str, start: int = 0, end: int | None = None) -> list[CommandWord] | None:
    """The words of `text[start:end]`; None if there could be more than `MAX_WORDS`."""
    limit = len(text) if end is None else end
    if text.count(" ", start, limit) + text.count("\n", start, limit) >= MAX_WORDS:
        return None
    words: list[CommandWord] = []
    position = start
    while position < limit:
        character = text[position]
        if character in " \n":
            position += 1
            continue
        word = _quoted_word(text, position, limit) if character in _QUOTES else _plain_word(text, position, limit)
        words.append(word)
        position = word.end
    return words


def _quoted_word(text: str, opening: int, limit: int) -> CommandWord:
    closing = _closing(text, opening, limit)
    if closing < 0:
        return CommandWord(opening, limit, opening + 1, limit, quoted=True)
    return CommandWord(opening, closing + 1, opening + 1, closing, quoted=True)


def _plain_word(text: str, start: int, limit: int) -> CommandWord:
    end = word_end(text, start, limit)
    for quote in _QUOTES:
        opening = text.find(quote, start, end)
        if opening > start and text.count(quote, opening, end) % 2:
            closing = text.find(quote, end, limit)
            if closing >= 0 and (quote == '"' or text[opening - 1] in "=:(,pPuUa"):
                end = word_end(text, closing + 1, limit)
    return CommandWord(start, end, start, end, quoted=False)


def _closing(text: str, opening: int, limit: int) -> int:
    """The quote that closes: the first of its kind that white space, a bracket or the end follows."""
    quote = text[opening]
    closing = text.find(quote, opening + 1, limit)
    for _ in range(64):
        if closing < 0 or closing + 1 >= limit or text[closing + 1] in " \n;|&),":
            return closing
        closing = text.find(quote, closing + 1, limit)
    return -1
