"""What only people know about a VEX document: who says it, of which products, and what is to be done.

A TOML file:

    author = "Shop security <security@shop.example>"
    namespace = "https://shop.example"            # a URL of the author, which CSAF needs

    [[statement]]
    vulnerability = "CVE-2026-0001"               # as `callstream watch add --vulnerability` has it
    products = ["pkg:oci/web@sha256:4f1b"]        # IRIs, package URLs as a rule
    every_call_probed = true                      # a probe fires whenever one of its watched functions is called
    aliases = ["GHSA-2qrg-x229-3v8q"]             # optional, as all that follow
    subcomponents = ["pkg:deb/debian/libpng1.6"]
    action = "Update to libpng 1.6.44."           # what a hit means people should do
    min_complete_days = 14                        # how long "never" must have lasted
    accept_unknown_copies = true                  # "never" counts where inlined copies are not known of
    min_share = 0.9999                            # "never" counts if this share of the node-time was watched
    max_events_lost = 0                           # and if no more events were lost than this, by their counters
    accept_not_seen_until = 2027-01-31            # until then, what was never entered counts as not run

`every_call_probed` has no default: Tetragon reports calls of functions that a policy probes, and a function that none
probes runs unseen, however complete the events are. Only the author of the policies can say which it is.

`min_share` is 1 where it is not given. It counts the time of all nodes on which the watched file was placed, or may
have been. The statement then says how much was missing. A loss can last a nanosecond and hold a thousand events, so
`max_events_lost` counts them.

`accept_not_seen_until` is for `callstream vulnerabilities status`: an observation cannot show that code is unreachable,
so only an author can accept it, until a day that he names. A hit takes it back.

A watch means its file wherever it runs. A product that is a container image (`pkg:oci/...`, `pkg:docker/...`) is
`affected` only if the function ran in that image; other products share what the watch says.

An error names the file and the key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from agents.toml_text import MAX_TOML_BYTES, TomlTextError, parse_toml
from app.operators.errors import OperatorError
from app.operators.regular_files import read_regular_text
from schemas.units import NS_PER_SECOND

MIN_COMPLETE_DAYS: Final = 14.0

_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+")
_URL: Final = re.compile(r"https?://[^\s<>\"{}|\\^`]+")
_NEEDED_TOP: Final = frozenset({"author", "statement"})
_TOP: Final = _NEEDED_TOP | {"namespace"}
_NEEDED: Final = frozenset({"vulnerability", "products", "every_call_probed"})
_KEYS: Final = _NEEDED | {
    "aliases",
    "subcomponents",
    "action",
    "min_complete_days",
    "accept_unknown_copies",
    "min_share",
    "max_events_lost",
    "accept_not_seen_until",
}


class VexFileError(OperatorError):
    """The file cannot be used; the message says which, where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VexSubject:
    """One vulnerability in some products, and what its author says about it."""

    vulnerability: str
    products: tuple[str, ...]
    every_call_probed: bool
    aliases: tuple[str, ...] = ()
    subcomponents: tuple[str, ...] = ()
    action: str = ""
    min_complete_days: float = MIN_COMPLETE_DAYS
    accept_unknown_copies: bool = False
    min_share: float = 1.0
    max_events_lost: int = 0
    accepted_until_ns: int = 0


@dataclass(frozen=True, slots=True)
class VexFile:
    """The whole file."""

    author: str
    subjects: tuple[VexSubject, ...]
    namespace: str = ""


def read_vex_file(path: Path) -> VexFile:
    """Read and check one. Raises VexFileError."""
    try:
        content = parse_toml(read_regular_text(path, MAX_TOML_BYTES))
    except OSError as error:
        raise VexFileError(f"{path}: {error.strerror}") from None
    except (TomlTextError, UnicodeDecodeError) as error:
        raise VexFileError(f"{path}: {error}") from None
    try:
        return _file(content)
    except _KeyError as problem:
        raise VexFileError(f"{path}: {problem}") from None


class _KeyError(Exception):
    """A key is missing, unknown or holds something else."""


def _file(content: Mapping[str, Any]) -> VexFile:
    _check_keys("", content, _NEEDED_TOP, _TOP)
    author = _text("author", content["author"])
    entries = content["statement"]
    if not isinstance(entries, list) or not entries:
        raise _KeyError("statement: write at least one [[statement]]")
    subjects = tuple([_subject(f"statement {number}: ", entry) for number, entry in enumerate(entries, 1)])
    named = [subject.vulnerability for subject in subjects]
    for name in named:
        if named.count(name) > 1:
            raise _KeyError(f"{name} has more than one statement")
    namespace = content.get("namespace", "")
    if namespace and (not isinstance(namespace, str) or _URL.fullmatch(namespace) is None):
        raise _KeyError(f"namespace: {namespace!r} is not a URL")
    return VexFile(author, subjects, namespace)


def _subject(where: str, entry: Any) -> VexSubject:
    _check_keys(where, entry, _NEEDED, _KEYS)
    days = entry.get("min_complete_days", MIN_COMPLETE_DAYS)
    if isinstance(days, bool) or not isinstance(days, int | float) or not days > 0:
        raise _KeyError(f"{where}min_complete_days: {days!r} is not a number above 0")
    share, lost = entry.get("min_share", 1.0), entry.get("max_events_lost", 0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise _KeyError(f"{where}min_share: {share!r} is not a number above 0 and up to 1")
    if isinstance(lost, bool) or not isinstance(lost, int) or lost < 0:
        raise _KeyError(f"{where}max_events_lost: {lost!r} is not a number of events")
    for name in ("every_call_probed", "accept_unknown_copies"):
        if not isinstance(entry.get(name, False), bool):
            raise _KeyError(f"{where}{name}: write true or false")
    return VexSubject(
        vulnerability=_text(f"{where}vulnerability", entry["vulnerability"]),
        products=_iris(f"{where}products", entry["products"]),
        every_call_probed=entry["every_call_probed"],
        aliases=_texts(f"{where}aliases", entry.get("aliases", [])),
        subcomponents=_iris(f"{where}subcomponents", entry["subcomponents"]) if "subcomponents" in entry else (),
        action=_text(f"{where}action", entry["action"]) if "action" in entry else "",
        min_complete_days=float(days),
        accept_unknown_copies=entry.get("accept_unknown_copies", False),
        min_share=float(share),
        max_events_lost=lost,
        accepted_until_ns=_day(f"{where}accept_not_seen_until", entry.get("accept_not_seen_until")),
    )


def _day(where: str, value: Any) -> int:
    """The beginning of a day in UTC, as nanoseconds since the Unix epoch; 0 where there is none."""
    if value is None:
        return 0
    if isinstance(value, datetime) or not isinstance(value, date):
        raise _KeyError(f"{where}: {value!r} is not a day; write it as 2027-01-31, without quotes")
    return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()) * NS_PER_SECOND


def _check_keys(where: str, found: Any, needed: frozenset[str], allowed: frozenset[str]) -> None:
    if not isinstance(found, dict):
        raise _KeyError(f"{where}write [[statement]]")
    for key in sorted(needed - found.keys()):
        raise _KeyError(f"{where}{key} is missing")
    for key in sorted(found.keys() - allowed):
        raise _KeyError(f"{where}{key} is not a key; the keys are {', '.join(sorted(allowed))}")


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _KeyError(f"{where}: {value!r} is not a text")
    return value


def _texts(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _KeyError(f"{where}: {value!r} is not a list of texts")
    return tuple(dict.fromkeys(_text(where, entry) for entry in value))


def _iris(where: str, value: Any) -> tuple[str, ...]:
    found = _texts(where, value)
    if not found:
        raise _KeyError(f"{where}: name at least one")
    for entry in found:
        if _IRI.fullmatch(entry) is None:
            raise _KeyError(f"{where}: {entry!r} is not an IRI; write a package URL like pkg:deb/debian/curl@8.5.0")
    return found
