"""Which rows answer a watch: a wrong "never executed" is the one mistake that must not happen."""

from dataclasses import replace

import pytest

from agents.hot_symbols.identity import parse_symbol_id
from agents.hot_symbols.watch.watch import MAX_CHARS, Bearing, Watch, WatchFault, from_record
from app.stages.hot_symbols.watch_list import in_canonical_form
from tests.support.named_files import code_of

BUILD = "0123456789abcdef"
LIB = "/usr/lib/libssl.so.3"

BY_BUILD_ID = Watch(symbol="SSL_read", build_id=BUILD)
BY_BOTH = Watch(symbol="SSL_read", build_id=BUILD, module=LIB)
BY_PATH = Watch(symbol="SSL_read", module=LIB)
BY_NAME = Watch(symbol="SSL_read", module="libssl.so.3")
BY_SYMBOL = Watch(symbol="SSL_read")
IN_KERNEL = Watch(symbol="SSL_read", module="kernel")
IN_KERNEL_MODULE = Watch(symbol="SSL_read", module="kernel:[tls]")

IS, MAY_BE, NONE = Bearing.IS, Bearing.MAY_BE, Bearing.NONE


@pytest.mark.parametrize(
    ("watch", "row", "path", "expected"),
    [
        (BY_BUILD_ID, f"{BUILD}!SSL_read", LIB, IS),
        (BY_BUILD_ID, f"{BUILD}!SSL_read.cold", LIB, IS),
        (BY_BUILD_ID, f"{BUILD}!SSL_read.part.0.isra.3", LIB, IS),
        (BY_BUILD_ID, f"{BUILD}!SSL_read.other", LIB, NONE),
        (BY_BUILD_ID, f"{BUILD}!SSL_write", LIB, NONE),
        (BY_BUILD_ID, "ffffffffffffffff!SSL_read", LIB, NONE),
        (BY_BUILD_ID, f"{LIB}!SSL_read", LIB, MAY_BE),
        (BY_BUILD_ID, "kernel!SSL_read", "kernel", NONE),
        (BY_BOTH, f"{LIB}!SSL_read", LIB, MAY_BE),
        (BY_PATH, f"{LIB}!SSL_read", LIB, IS),
        (BY_PATH, f"{BUILD}!SSL_read", LIB, IS),
        (BY_PATH, f"{BUILD}!SSL_read", "/opt/libssl.so.3", MAY_BE),
        (BY_PATH, "/opt/libssl.so.3!SSL_read", "/opt/libssl.so.3", NONE),
        (BY_PATH, f"exec:{LIB}", LIB, NONE),
        (BY_NAME, "/opt/libssl.so.3!SSL_read", "/opt/libssl.so.3", IS),
        (BY_NAME, "kernel!SSL_read", "kernel", NONE),
        (BY_SYMBOL, "/any!SSL_read", "/any", IS),
        (BY_SYMBOL, "kernel!SSL_read", "kernel", IS),
        (BY_SYMBOL, "/any!SSL_write", "/any", NONE),
        (IN_KERNEL, "kernel!SSL_read", "kernel", IS),
        (IN_KERNEL, "kernel:[tls]!SSL_read", "[tls]", IS),
        (IN_KERNEL, f"{LIB}!SSL_read", LIB, NONE),
        (IN_KERNEL_MODULE, "kernel:[tls]!SSL_read", "[tls]", IS),
        (IN_KERNEL_MODULE, "kernel:[nf]!SSL_read", "[nf]", NONE),
        (IN_KERNEL_MODULE, "kernel!SSL_read", "kernel", MAY_BE),
    ],
)
def test_what_a_row_says_about_a_watch_where_no_index_is_known(
    watch: Watch, row: str, path: str, expected: Bearing
) -> None:
    """It is the symbol, it may be, or it says nothing; whatever cannot be told is never taken for nothing."""
    assert code_of(watch, None).bearing(watch, parse_symbol_id(row), path) is expected


@pytest.mark.parametrize(
    ("watch", "watch_id"),
    [
        (BY_BUILD_ID, f"{BUILD}!SSL_read"),
        (BY_BOTH, f"{BUILD}!SSL_read"),
        (BY_PATH, f"{LIB}!SSL_read"),
        (BY_NAME, "libssl.so.3!SSL_read"),
        (BY_SYMBOL, "!SSL_read"),
        (IN_KERNEL, "kernel!SSL_read"),
        (IN_KERNEL_MODULE, "kernel:[tls]!SSL_read"),
    ],
)
def test_a_watch_has_a_readable_id(watch: Watch, watch_id: str) -> None:
    """In the form of symbol ids, so that a watch of one file's symbol has the id of its row."""
    assert watch.watch_id == watch_id
    assert parse_symbol_id(watch_id).symbol == "SSL_read"


def test_a_record_comes_back_as_the_watch_that_it_describes() -> None:
    """Empty texts mean that nothing is said; a record without a symbol is not a watch."""
    assert from_record(BY_BOTH.as_record()) == BY_BOTH
    assert from_record(BY_PATH.as_record() | {"build_id": "", "vulnerability": ""}) == BY_PATH
    assert from_record(BY_PATH.as_record() | {"symbol": ""}) is WatchFault.NO_SYMBOL


@pytest.mark.parametrize("name", MAX_CHARS)
def test_a_watch_with_a_text_beyond_its_limit_is_none(name: str) -> None:
    """By the limits of `callstream watch add`; nothing is cut, for that would be another symbol."""
    longest = BY_PATH.as_record() | {name: "f" * MAX_CHARS[name]}
    assert isinstance(from_record(longest), Watch)
    assert from_record(longest | {name: "f" * (MAX_CHARS[name] + 1)}) is WatchFault.TEXT_TOO_LONG


def test_a_watch_is_brought_into_the_form_that_frames_have() -> None:
    """A version, a path outside of /usr or capitals in a build id would never be hit."""
    asked = Watch(symbol="SSL_read@@OPENSSL_3.0.0", module="/lib/../lib/libssl.so.3", build_id=BUILD.upper())

    assert in_canonical_form(asked) == BY_BOTH
    assert in_canonical_form(IN_KERNEL_MODULE) == IN_KERNEL_MODULE
    assert in_canonical_form(BY_NAME) == BY_NAME


def test_a_watch_has_all_vulnerabilities_of_its_records_and_the_earliest_beginning() -> None:
    """Whichever record comes first, and an old record with a single vulnerability too."""
    early = replace(BY_PATH, since_ns=5, added_ns=9, vulnerabilities=("CVE-1",))
    late = replace(BY_PATH, since_ns=7, added_ns=8, vulnerabilities=("CVE-2", "CVE-1"))
    joined = early.joined(late)

    assert joined == late.joined(early)
    assert joined == replace(late, since_ns=5, vulnerabilities=("CVE-1", "CVE-2"))
    assert joined.added_ns == 8
    assert from_record(joined.as_record()) == joined
    assert from_record(joined.as_record() | {"vulnerabilities": []}) == replace(joined, vulnerabilities=("CVE-1",))


def test_the_word_of_one_record_says_nothing_of_the_time_before_it() -> None:
    """Another service watches the function since before the probe was there."""
    early, late = replace(BY_PATH, since_ns=5), replace(BY_PATH, since_ns=7, every_call_probed=True)

    assert early.joined(late) == late.joined(early) == early
    assert late.joined(replace(late, since_ns=9)) == late
    word = replace(early, every_call_probed=True)
    assert early.joined(word) == word.joined(late).joined(early) == word


def test_a_watch_with_too_many_vulnerabilities_is_none() -> None:
    """Its answer repeats them, and must fit into a record."""
    many = [f"CVE-2026-{number:08}" for number in range(3_000)]
    assert from_record(BY_PATH.as_record() | {"vulnerabilities": many}) is WatchFault.TEXT_TOO_LONG
    assert from_record(BY_PATH.as_record() | {"vulnerabilities": ["v" * 513]}) is WatchFault.TEXT_TOO_LONG
