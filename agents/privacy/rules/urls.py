"""Passwords in addresses: `scheme://user:password@host`, tokens in a user's place, and `user:password@host` alone.

The user name of a URL stays: it mostly names an account and not a person, and it says what was called. If it looks
random, it is a token and goes. Not everybody escapes an `@` inside a password, so the last `@` of the authority counts.
A URL that was cut off before its `@` is redacted to its end.
"""

import re
from typing import Final

from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.matching.scan import Scan, grouped
from agents.privacy.rules.value_ranges import word_end
from agents.privacy.rules.values import entropy, is_no_secret
from agents.privacy.rules.vocabulary import word_set

URL_GATE: Final = r"://[^\s]*@"
"""A scheme's `://`, and an `@` before the next space. A truncated text may have lost its `@`, so the rule looks at it
whatever the gate says."""

HOST_GATE: Final = r"jdbc:oracle|[a-z0-9_.+%\-]:[^\s:@][^\s]*@\[?[\w\-]"
"""A character of a user's name, a `:`, and an `@` with the beginning of a host behind it; or Oracle's own form."""


_AUTHORITY = grouped(r"://([^\s/?#\"'`<>|\\,]+)")
"""The part of a URL between `://` and the path. The group is that part. It ends at quotes and brackets too,
because URLs stand inside of arguments."""

_USER_AT_HOST = grouped(
    r"(?i:jdbc:oracle:[a-z]+:\w+/([^\s@/]+)@)|(?:\A|[\s\"'`=(,\[{/\\])[\w.+%\-]+:([^\s/@:\"'`|][^\s/\"'`|]*)@\[?[\w\-]+[\w.\-]*"
)
"""`user:password@host` where an argument or a part of one begins. The group is the password. Copies by scp
and rsync are passed over, because a `/` follows the colon in `host:/path`."""

EXAMPLES: Final = {
    "URL_GATE": ("curl https://ann:hunter2@host/", "curl https://host/"),
    "HOST_GATE": ("mongo ann:hunter2@db", "ssh ann@db"),
    "_AUTHORITY": ("curl https://host/", "curl https:host"),
    "_LISTED": ("filter=x", "hunter2"),
    "_USER_AT_HOST": ("mongo ann:hunter2@db", "scp ann@db:/tmp/x ."),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

_HOST_CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
_LONGEST_TAIL: Final = 512  # characters behind an authority in which an unescaped `@` of its password is looked for
_LISTED: Final = re.compile(r".*:\Z|[a-z]+=\w+\Z")
"""What is not a password: a part of an address, an option in a list of them."""

_NOT_USERS: Final = word_set("""
    npm workspace file link portal patch git http https ssh mailto sip sips xmpp sha256 catalog jsr
""")


def url_passwords(scan: Scan, *, truncated: bool) -> list[Mask]:
    """Masks over passwords and tokens in the authority of URLs."""
    masks = []
    for start, end in scan.groups(_AUTHORITY):
        authority_end = _authority_end(scan.text, start, end)
        at = scan.text.rfind("@", start, authority_end)
        if at < 0:
            if truncated and authority_end == len(scan.text) and (cut := _cut_off(scan.text, start, authority_end)):
                masks.append(cut)
            continue
        if (mask := _user_info(scan.text, start, at)) is not None:
            masks.append(mask)
    return masks


def host_passwords(scan: Scan) -> list[Mask]:
    """Masks over passwords in `user:password@host` without a scheme."""
    masks = []
    for start, end in scan.groups(_USER_AT_HOST):
        text = scan.text
        before = text[max(0, start - 64) : start - 1]
        user = before[len(before.rstrip(_HOST_CHARACTERS + "_+%")) :]
        host = text[end + 1 : end + 80]
        host = host[: len(host) - len(host.lstrip(_HOST_CHARACTERS))]
        if before[: len(before) - len(user)].endswith("[") and "]" in text[start:end]:
            continue  # `[abi:cxx11]()@@LLVM_15` of a C++ function
        if user.lower() in _NOT_USERS or host.startswith("sha") or _is_version(host) or _LISTED.match(text[start:end]):
            continue
        if not is_no_secret(text[start:end]):
            masks.append(Mask(start, end, REDACTED, "url-password"))
    return masks


def _authority_end(text: str, start: int, end: int) -> int:
    """The authority's end, further right if its password holds a `/`, `?` or `#` that should have been escaped."""
    authority = text[start:end]
    if "@" in authority:
        return end
    _, colon, port = authority.rpartition(":")
    if not colon or port.isdigit() or authority.startswith("["):
        return end
    if port == "" and not authority[:-1].strip():
        return end
    at = text.rfind("@", end, min(word_end(text, end, len(text)), end + _LONGEST_TAIL))
    return at + 1 if at >= 0 else end


def _user_info(text: str, start: int, at: int) -> Mask | None:
    """The secret part of `user:password` at `text[start:at]`."""
    user, colon, password = text[start:at].partition(":")
    is_token = _is_token(user)
    if is_no_secret(password) if colon else not is_token:
        return None
    first, last = start + len(user) + 1, at
    if is_token or not user:
        first = start
    elif password in {"x-oauth-basic", "x-access-token"}:
        first, last = start, start + len(user)
    return Mask(first, last, REDACTED, "url-password")


def _is_token(user: str) -> bool:
    """Whether what stands in a user's place is a token: long, with digits, and not a name with a number."""
    return len(user) >= 16 and sum(map(str.isdigit, user)) >= 3 and entropy(user) >= 3.0


def _cut_off(text: str, start: int, end: int) -> Mask | None:
    """`user:passw` at the end of a truncated text; a port number stays."""
    user, colon, rest = text[start:end].partition(":")
    if not colon or not user or rest.isdigit() or not rest:
        return None
    return Mask(start + len(user) + 1, end, REDACTED, "url-password")


def _is_version(host: str) -> bool:
    return host.count(".") in {0, 1, 2} and host.replace(".", "").split("-")[0].isdigit()
