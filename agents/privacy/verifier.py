"""The second opinion: looks for private data in what left, with rules of its own.

It shares nothing with the filter: another regular expression engine, other patterns, no gate, no vocabulary. It has
fewer forms than the filter and is surer of each, because a finding means an alarm. Besides forms it looks at what words
are like: random letters of both cases and digits, and passwords that everybody uses, behind an option or a name. A
finding names the field and the rule, never the value. Texts are cut into pieces first, so that no pattern meets a long
one.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from agents.privacy.secret_looks import KNOWN_PASSWORDS, looks_chosen_at_random

_PIECE: Final = 4096
_OVERLAP: Final = 256  # longer than what any pattern here needs to see at once

_MASKED: Final = r"(?!\[(?:redacted|credential|user)[\]:])"
"""What the filter puts in the place of a value."""

_NO_VALUE: Final = r"(?!true\b|false\b|null\b|none\b|yes\b|no\b|[a-z]+-secret\b|\$|<|\{|/|id=|type=|\*+|\Z)"
"""What stands in the place of a value and is not secret: a switch, a variable, a template, a path, nothing."""


_NO_CODE: Final = r"(?!:|\(|[a-z_]+::|\}\})"
"""What goes on in names of code and in templates: a name space called `secret`, `operator=(`, a name in braces."""


_PATTERNS: Final = {
    # a name of secrets, `=` or `:`, and three characters that are neither a mask nor a switch
    "named-secret": re.compile(
        r"(?i)(?<![a-z])(?:password|passwd|passphrase|pgpassword|mysql_pwd|secret|client_secret|api[_-]?key|access[_-]?token"
        r"|auth[_-]?token|secret[_-]?key|private[_-]?key)[\"']?(?:=|: ?)[\"']?"
        + _MASKED
        + _NO_VALUE
        + _NO_CODE
        + r"[^\s\"'&;,\[\]]{3,64}"
    ),
    # the same as an option, whose value may be the next argument
    "option-secret": re.compile(
        r"(?i)(?:^|\s)--?(?:password|passphrase|token|secret|api-key)[= ][\"']?"
        + _MASKED
        + _NO_VALUE
        + r"(?!-)[^\s\"']{3,64}"
    ),
    # `user:password@` in a URL, where the password is not a port
    "url-password": re.compile(r"://[^\s/:@\[{]{1,64}:" + _MASKED + r"(?!\{|\d{1,5}[/\s]|\$)[^\s/@]{1,128}@"),
    # a header with its scheme and a credential
    "authorization": re.compile(
        r"(?i)authorization[\"']?: ?(?:basic|bearer|token) " + _MASKED + _NO_VALUE + r"[\w+/=.~-]{6,64}"
    ),
    # an access key of AWS, by its exact length
    "cloud-key": re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    # tokens of vendors by prefix and most of their length
    "vendor-token": re.compile(
        r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{30}|github_pat_\w{30}|glpat-[\w-]{20}|xox[abprs]-\d{6}|npm_[A-Za-z0-9]{30}"
        r"|[sr]k_live_[A-Za-z0-9]{20}|AIza[\w-]{35}|hv[sb]\.[\w-]{24}|SG\.[\w-]{20}\.)"
    ),
    # the first two parts of a JSON web token: both begin with `{"` in base 64
    "web-token": re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{8,64}\.eyJ[\w-]{4}"),
    # the first line of a private key, and key material after it
    "key-block": re.compile(r"-----BEGIN (?:[A-Z]{2,9} ){0,2}PRIVATE KEY-----\s*[A-Za-z0-9+/]{16}"),
    # a home with a name where the filter would have left `~`
    "home": re.compile(r"(?:^|[\s=:\"'(,])/(?:home|Users|var/home)/(?![~*$<{])[^/\s:\"',]{1,64}"),
    # a credential file by its name and folder
    "credential-file": re.compile(
        r"/\.ssh/id_[a-z0-9_]{2,16}(?![\w.])|/\.aws/credentials|/\.kube/config(?!\w)|/\.netrc(?!\w)|/\.pgpass(?!\w)"
        r"|/etc/g?shadow-?(?!\w)|/proc/\d{1,9}/environ(?!\w)|kubernetes\.io/serviceaccount/token"
    ),
}
"""By the name of the rule. Each is sure of what it finds, because a finding means an alarm."""


_RANDOM: Final = re.compile(r"(?<![\w/.+\-@:])[A-Za-z0-9_\-]{20,128}(?![\w/.+\-@:])")
"""A word that stands alone and could be a token: no path, no version, no digest with its name."""

_CHOSEN_BY_MACHINES: Final = (
    "symbol", "symbol_hint", "module", "_id", "image_name", "pod_name", "binary", "cwd", "source_file", "key",
    "container_name",
)  # fmt: skip
"""Ends of the names of fields that hold names of code, of files and of things that a machine named."""

_ANNOUNCED: Final = re.compile(
    r"(?:\s-{1,2}[A-Za-z][\w\-]{0,32}[ =]|[A-Za-z_]{3,32}[:=])"
    r"[\"']?([A-Za-z0-9!@#$%^&*]{5,24})(?![\w./])"
)
"""A word behind an option or a name."""


EXAMPLES: Final = {
    "named-secret": ("password=hunter2", "password=[redacted]"),
    "option-secret": ("--token hunter2", "--token --verbose"),
    "url-password": ("https://ann:hunter2@host/", "https://host:8080/@ann"),
    "authorization": ("Authorization: Bearer a1b2c3d4", "Authorization: Bearer [redacted]"),
    "cloud-key": ("AKIA" + "A1" * 8, "AKIA" + "A1" * 7),
    "vendor-token": ("npm_" + "a1" * 15, "npm_" + "a1" * 5),
    "web-token": ("eyJ" + "a" * 8 + ".eyJ" + "a" * 4, "eyJ" + "a" * 8),
    "key-block": ("-----BEGIN" + " PRIVATE KEY----- " + "a1" * 8, "-----BEGIN" + " PRIVATE KEY----- [redacted]"),
    "home": ("cat /home/ann/x", "cat ~/x"),
    "credential-file": ("cat /root/.netrc", "cat ~/[credential]"),
}
"""By rule: a line that it reports, and a similar one that it passes over (a test runs all of them).

What looks like a token is put together here, or scanners of repositories would report this file.
"""


@dataclass(frozen=True, slots=True)
class PrivacyFinding:
    """Something that should not have left: the field it is in (a dotted path, or `key`) and the rule that saw it."""

    field: str
    rule: str


class Verifier:
    """Looks at records. `needles` are secrets that are known to exist, looked for in several encodings."""

    def __init__(self, needles: Iterable[str] = ()) -> None:
        spelled = sorted({form for needle in needles if needle for form in _spellings(needle)})
        self._needles = re.compile("|".join(map(re.escape, spelled))) if spelled else None

    def findings(self, record: Any, field: str = "") -> Iterator[PrivacyFinding]:
        """Findings in a decoded record: dictionaries, lists, texts and bytes, however nested."""
        match record:
            case str():
                yield from self._in_text(record, field)
            case bytes():
                yield from self._in_text(record.decode("utf-8", "replace"), field)
            case dict():
                for name, value in record.items():
                    yield from self._in_text(name, field)
                    yield from self.findings(value, f"{field}.{name}".lstrip("."))
            case list() | tuple():
                for index, value in enumerate(record):
                    yield from self.findings(value, f"{field}[{index}]")
            case _:
                return

    def _in_text(self, text: str, field: str) -> Iterator[PrivacyFinding]:
        seen: set[str] = set()
        for start in range(0, max(len(text), 1), _PIECE):
            piece = text[start : start + _PIECE + _OVERLAP]
            seen.update(rule for rule, pattern in _PATTERNS.items() if pattern.search(piece))
            is_free = not field.endswith(_CHOSEN_BY_MACHINES)
            if is_free and any(map(looks_chosen_at_random, _RANDOM.findall(piece))):
                seen.add("random-word")
            if any(word.lower() in KNOWN_PASSWORDS for word in _ANNOUNCED.findall(piece)):
                seen.add("known-password")
            if self._needles is not None and self._needles.search(piece):
                seen.add("needle")
        for rule in sorted(seen):
            yield PrivacyFinding(field, rule)


def _spellings(needle: str) -> Iterator[str]:
    """A secret as it is, in other cases, in hexadecimal, base 64 at each alignment, URLs, JSON and UTF-16."""
    raw = needle.encode()
    yield from (needle, needle.lower(), needle.upper(), quote(needle, safe=""), json.dumps(needle)[1:-1])
    for digits in (raw.hex(), raw.hex(":"), raw.hex(" "), needle.encode("utf-16-le").hex()):
        yield digits
        yield digits.upper()
    yield "".join(f"%{byte:02x}" for byte in raw)
    yield "".join(f"%{byte:02X}" for byte in raw)
    yield "\0".join(needle)
    for skipped in range(3):
        encoded = base64.b64encode(b"\0" * skipped + raw).decode()
        inner = encoded[-(-skipped * 8 // 6) : (skipped + len(raw)) * 8 // 6]
        if len(inner) >= 8:
            yield inner
            yield inner.translate(_URL_SAFE)


_URL_SAFE: Final = str.maketrans("+/", "-_")
