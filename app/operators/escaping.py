"""How text of any origin is made fit to be shown: what a terminal, a log reader or a browser might obey is escaped.

Names of symbols, nodes and files come from programs that nobody vouches for. A line end in one of them would forge a
line of a table, an escape sequence would change the terminal, and a bidirectional mark would turn names around.
"""

import json
import re
from typing import Final

_BLANK_LETTERS: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that Python calls printable and that show nothing, so that two names which differ look alike."""


def escaped(text: str) -> str:
    """The text as one line in which every character shows: what does not becomes an escape as in JSON, like \\u001b.

    These are control characters, line ends, zero-width, bidirectional and other format characters, blanks other than
    the space, unassigned characters and lone surrogates. Text that is escaped already stays as it is, and so does the
    meaning of a line of JSON.
    """
    if text.isascii() and text.isprintable():
        return text
    shown = text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)
    return _BLANK_LETTERS.sub(lambda match: _escape(match[0]), shown)


def _escape(character: str) -> str:
    return json.dumps(character, ensure_ascii=True)[1:-1]
