"""The identity of a symbol as readable text: the key of its row on every topic and in every table.

    4f1b...c3!SSL_read                  a function of the file with that build id
    /usr/bin/python3.13!main            a function of a file whose build id is unknown
    /usr/bin/python3.13!                code of that file, function unknown
    kernel!vfs_read                     a kernel function
    kernel:[nf_tables]!nft_do_chain     a function of a kernel module
    exec:/usr/bin/curl                  that file was executed as a binary

It parses back, so no two identities have one text: `%`, `!`, control characters and characters that reorder or hide
text are percent-encoded as UTF-8, and so is the first character of a module that would read as something else.
"""

import enum
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from schemas.text_limits import MAX_PLACE_CHARS, MAX_SYMBOL_CHARS, cut_text

# C0, DEL, C1; zero-width, bidirectional and line separator characters; lone surrogates
_ESCAPED: Final = re.compile(r"[\x00-\x1f\x7f-\x9f%!\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_BUILD_ID: Final = re.compile(r"[0-9a-f]{8,}")
_OTHER_BUILD_ID: Final = "build-id:"
_KERNEL: Final = "kernel"
_KERNEL_MODULE: Final = "kernel:"
_EXECUTED: Final = "exec:"
_RESERVED: Final = re.compile(rf"{_BUILD_ID.pattern}\Z|{_OTHER_BUILD_ID}|{_KERNEL}(?:\Z|:)|{_EXECUTED}")


MAX_ID_BYTES: Final = 3 * 4_096 + 16
"""Room for the longest module and symbol of plain letters. A longer id, of many escapes, has its texts cut to those of
places, which fit with every character escaped: it is the key of records, and other rows name it as a caller."""


class EvidenceKind(enum.Enum):
    """What a row is evidence of; values are the Avro symbols. Kinds never mix in one row."""

    SYMBOL = "Symbol"  # the function was on a stack or under a user probe that fired
    MODULE = "Module"  # code of the file was mapped and ran, and nothing names the function
    BINARY = "Binary"  # the file was executed


@dataclass(frozen=True, slots=True)
class SymbolIdentity:
    """What a row counts. Of `build_id` and `module` one is None; `symbol` is mangled, and None for a binary."""

    build_id: str | None
    module: str | None
    symbol: str | None
    is_kernel_space: bool = False

    @property
    def evidence(self) -> EvidenceKind:
        """The kind of evidence, which follows from the identity."""
        if self.symbol is None:
            return EvidenceKind.BINARY
        return EvidenceKind.SYMBOL if self.symbol else EvidenceKind.MODULE


class SymbolIdError(ValueError):
    """The text is not the identity of any symbol."""


def frame_identity(module: str, build_id: str | None, symbol: str, *, is_kernel_space: bool) -> SymbolIdentity:
    """The identity of a stack frame or probe target; the build id, where there is one, says more than the path."""
    if is_kernel_space or not build_id:
        return SymbolIdentity(None, module, symbol, is_kernel_space)
    return SymbolIdentity(build_id, None, symbol)


def binary_identity(path: str) -> SymbolIdentity:
    """The identity of an executed binary."""
    return SymbolIdentity(None, path, None)


def within_limits(identity: SymbolIdentity) -> SymbolIdentity:
    """The identity with texts that are cut where they are too long, so that its id is at most `MAX_ID_BYTES` long."""
    cut = _cut(identity, MAX_SYMBOL_CHARS)
    longest = len(cut.symbol or "") + len(cut.module or "")
    if longest <= MAX_PLACE_CHARS or len(symbol_id(cut).encode()) <= MAX_ID_BYTES:
        return cut
    return _cut(identity, MAX_PLACE_CHARS)


def _cut(identity: SymbolIdentity, max_chars: int) -> SymbolIdentity:
    texts = (identity.build_id, identity.module, identity.symbol)
    if all(len(text or "") <= max_chars for text in texts):
        return identity
    build_id, module, symbol = (None if text is None else cut_text(text, max_chars) for text in texts)
    return SymbolIdentity(build_id, module, symbol, identity.is_kernel_space)


def symbol_id(identity: SymbolIdentity) -> str:
    """The text of an identity; `parse_symbol_id` reads it."""
    module = identity.module or ""
    if identity.symbol is None:
        return _EXECUTED + _escaped(module)
    if identity.build_id is not None:
        is_hex = _BUILD_ID.fullmatch(identity.build_id) is not None
        origin = identity.build_id if is_hex else _OTHER_BUILD_ID + _escaped(identity.build_id)
    elif identity.is_kernel_space:
        origin = _KERNEL if module == _KERNEL else _KERNEL_MODULE + _escaped(module)
    else:
        origin = _escaped(module)
        if _RESERVED.match(module) is not None:
            origin = f"%{ord(module[0]):02X}{origin[1:]}"
    return f"{origin}!{_escaped(identity.symbol)}"


def parse_symbol_id(text: str) -> SymbolIdentity:
    """The identity of a text. Raises SymbolIdError on anything that `symbol_id` would not print."""
    try:
        identity = _parsed(text)
    except UnicodeDecodeError:
        raise SymbolIdError("percent escapes that are not UTF-8") from None
    if symbol_id(identity) != text:
        raise SymbolIdError("not in canonical form: something is escaped that need not be, or the other way round")
    return identity


def _parsed(text: str) -> SymbolIdentity:
    origin, separator, raw_symbol = text.partition("!")
    if not separator:
        if not text.startswith(_EXECUTED):
            raise SymbolIdError("neither MODULE!SYMBOL, BUILD-ID!SYMBOL nor exec:PATH")
        return binary_identity(_unescaped(text.removeprefix(_EXECUTED)))
    symbol = _unescaped(raw_symbol)
    if _BUILD_ID.fullmatch(origin) is not None:
        return SymbolIdentity(origin, None, symbol)
    if origin.startswith(_OTHER_BUILD_ID):
        return SymbolIdentity(_unescaped(origin.removeprefix(_OTHER_BUILD_ID)), None, symbol)
    if origin == _KERNEL:
        return SymbolIdentity(None, _KERNEL, symbol, is_kernel_space=True)
    if origin.startswith(_KERNEL_MODULE):
        return SymbolIdentity(None, _unescaped(origin.removeprefix(_KERNEL_MODULE)), symbol, is_kernel_space=True)
    return SymbolIdentity(None, _unescaped(origin), symbol)


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: "".join(f"%{b:02X}" for b in match[0].encode("utf-8", "surrogatepass")), text)


def _unescaped(text: str) -> str:
    return unquote(text, encoding="utf-8", errors="surrogatepass")
