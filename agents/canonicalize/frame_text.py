"""The text form of a canonical frame, for people, logs and keys: `module!symbol+0xoffset`.

    /usr/lib/x86_64-linux-gnu/libc.so.6!__connect+0x1b     offset from the symbol
    /usr/lib/x86_64-linux-gnu/libcurl.so.4.7.0+0x1a167     file offset: no symbol is known
    kernel!bpf_trampoline                                  no offset that means anything
    [anon]                                                 neither

It parses back: in modules and symbols `%`, `!`, `+` before `0x`, control characters and characters that reorder or hide
text are percent-encoded as UTF-8. Offsets are lower hex without padding.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from agents.canonicalize.frames import MAX_OFFSET

# C0, DEL, C1; zero-width, bidirectional and line separator characters; lone surrogates
_ESCAPED: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f%!\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]|\+(?=0x)"
)
_OFFSET: Final = re.compile(r"0x(?:0|[1-9a-f][0-9a-f]{0,15})")


@dataclass(frozen=True, slots=True)
class FrameText:
    """What the text form carries; `offset` is None where the frame's offset has no basis."""

    module: str
    symbol: str
    offset: int | None


class FrameTextError(ValueError):
    """The text is not `module!symbol+0xoffset`, `module!symbol`, `module+0xoffset` or `module`."""


def format_frame_text(parts: FrameText) -> str:
    """The text form of its parts; `parse_frame_text` reads it."""
    return join_frame_text(_escaped(parts.module), _escaped(parts.symbol), parts.offset)


def join_frame_text(module: str, symbol: str, offset: int | None) -> str:
    """The same form with texts as they are: for people, who read demangled names. It cannot be read back."""
    return module + (f"!{symbol}" if symbol else "") + ("" if offset is None else f"+{offset:#x}")


def parse_frame_text(text: str) -> FrameText:
    """The parts of a text form; raises FrameTextError on anything that `format_frame_text` would not print."""
    named, plus, offset_text = text.rpartition("+0x")
    if plus:
        if _OFFSET.fullmatch("0x" + offset_text) is None or (offset := int(offset_text, 16)) > MAX_OFFSET:
            raise FrameTextError("the offset is not lower hex without padding, below 2^63")
        parts = FrameText(*_named(named), offset)
    else:
        parts = FrameText(*_named(text), None)
    if format_frame_text(parts) != text:
        raise FrameTextError("not in canonical form: something is escaped that need not be, or the other way round")
    return parts


def _named(text: str) -> tuple[str, str]:
    module, _, symbol = text.partition("!")
    try:
        return _unescaped(module), _unescaped(symbol)
    except UnicodeDecodeError:
        raise FrameTextError("percent escapes that are not UTF-8") from None


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: "".join(f"%{b:02X}" for b in match[0].encode("utf-8", "surrogatepass")), text)


def _unescaped(text: str) -> str:
    return unquote(text, encoding="utf-8", errors="surrogatepass")
