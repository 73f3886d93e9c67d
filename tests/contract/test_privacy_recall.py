"""agents/privacy over command lines from manual pages: what is caught, how exactly, and behind which wrappers.

The rows were written by somebody who had not seen the rules (tests/golden/privacy/manuals). A tenth of the wrapped
lines is judged, chosen by the seed of the run; `make prove` judges ten times as many.
"""

import hashlib
import random
from itertools import product
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.support.ordinary_lines import changed_lines, judged_lines, left_of_line, ordinary_lines
from tests.support.privacy_judge import (
    LANGUAGES,
    WRAPPERS,
    SecretRow,
    Wrapper,
    joined,
    judge,
    judged,
    left_of,
    read_rows,
)

_GOLDEN: Final = Path(__file__).parent.parent / "golden" / "privacy"
_MANUALS: Final = _GOLDEN / "manuals"
_PROGRAMS: Final = _GOLDEN / "programs"
_ORDINARY_LINES: Final = 12_749
"""Lines that were read when tests/golden/privacy/ordinary was judged."""

_MOST_WRONG: Final = 0.001
_MOST_CHANGED: Final = 0.01
_LINES: Final = 2_000
_ORDINARY_CHANGED: Final = {1005, 1013}
"""Ordinary rows that lose a word: an idempotency token, a command that prints a secret."""


def _open_rows(folder: Path = _MANUALS) -> list[SecretRow]:
    return read_rows((folder / "open.jsonl").read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", [_MANUALS, _PROGRAMS], ids=lambda folder: folder.name)
def test_secrets_of_manual_pages_are_caught_exactly(folder: Path) -> None:
    """98 of 100 rows lose their secrets, 95 nothing else; no mask is on a neighbour, and twice is once."""
    found = judged(_open_rows(folder))
    assert len(found.verdicts) >= 400
    assert found.share(lambda verdict: verdict.is_caught) >= 0.98
    assert found.share(lambda verdict: verdict.is_exact) >= 0.95
    assert [row.number for row, verdict in found.verdicts if verdict.hit_neighbour] == []
    assert [row.number for row, verdict in found.verdicts if not verdict.settles] == []


@pytest.mark.parametrize(
    ("folder", "caught", "exact"), [(_MANUALS, 0.98, 0.95), (_PROGRAMS, 0.96, 0.94)], ids=["manuals", "programs"]
)
def test_sealed_rows_keep_what_they_had_when_they_were_opened(folder: Path, caught: float, exact: float) -> None:
    """What was committed sealed is what was judged, and recall on it does not fall."""
    sealed = (folder / "blind.jsonl.enc").read_bytes()
    salt, content = sealed[8:16], sealed[16:]
    password = (folder / "blind.key").read_bytes().strip()
    secret = hashlib.pbkdf2_hmac("sha256", password, salt, 200_000, 48)
    opened = Cipher(algorithms.AES(secret[:32]), modes.CTR(secret[32:])).decryptor().update(content)
    assert hashlib.sha256(opened).hexdigest() == (folder / "blind.sha256").read_text(encoding="utf-8").split()[0]
    found = judged(read_rows(opened.decode()))
    assert len(found.verdicts) >= 400
    assert found.share(lambda verdict: verdict.is_caught) >= caught
    assert found.share(lambda verdict: verdict.is_exact) >= exact
    assert [row.number for row, verdict in found.verdicts if verdict.hit_neighbour] == []
    assert [row.number for row, verdict in found.verdicts if not verdict.settles] == []


@pytest.mark.proof
@pytest.mark.parametrize(("wrappers", "stay"), [(WRAPPERS, 0.99), (LANGUAGES, 0.90)], ids=["wrappers", "languages"])
def test_secrets_are_caught_behind_whatever_runs_the_line(
    wrappers: dict[str, Wrapper], stay: float, seed: int, size: int
) -> None:
    """A caught secret stays caught in 40 shell forms, and as lists and calls of other languages."""
    assert len(WRAPPERS) >= 40
    both = (*_open_rows(_MANUALS), *_open_rows(_PROGRAMS))
    rows = [row for row in both if judge(row.argv, row.secrets).is_caught]
    pairs = list(product(rows, wrappers))
    chosen = random.Random(seed).sample(pairs, min(len(pairs), _LINES * size))
    verdicts = [(name, row.number, judge(wrappers[name](row.argv), row.secrets)) for row, name in chosen]
    lost = [(name, number) for name, number, verdict in verdicts if not verdict.is_caught]
    assert len(lost) <= (1 - stay) * len(verdicts), lost
    assert [(name, number) for name, number, verdict in verdicts if verdict.hit_neighbour] == []
    assert [(name, number) for name, number, verdict in verdicts if not verdict.settles] == []


@pytest.mark.parametrize(("folder", "known"), [(_MANUALS, _ORDINARY_CHANGED), (_PROGRAMS, set())])
def test_ordinary_lines_of_the_same_programs_stay(folder: Path, known: set[int]) -> None:
    """Lines that look alike and hold no secret lose nothing but what stands above."""
    text = (folder / "ordinary.jsonl").read_text(encoding="utf-8")
    rows = read_rows(text)
    changed = {row.number for row in rows if "[redacted]" in left_of(row.argv).replace(joined(row.argv[1:]), "")}
    assert changed <= known


def test_ordinary_lines_that_change_are_judged() -> None:
    """What leaves of each is what somebody judged, and one in a thousand lines at most is changed wrongly."""
    rows = judged_lines()
    assert {row.line: left_of_line(row.line) for row in rows} == {row.line: row.left for row in rows}
    assert {row.verdict for row in rows} == {"right", "wrong"}
    assert sum(row.verdict == "wrong" for row in rows) <= _MOST_WRONG * _ORDINARY_LINES


@pytest.mark.proof
def test_ordinary_lines_of_this_machine_stay(size: int) -> None:
    """At most one in a hundred changes, which is what examples with secrets are; of those nobody has judged few."""
    lines = random.Random(size).sample(found := ordinary_lines(Path("/")), min(len(found), _LINES * size))
    known = {row.line for row in judged_lines()}
    changed = list(changed_lines(lines))
    assert len(changed) <= max(_MOST_CHANGED * len(lines), 20)
    unjudged = [row for row in changed if row.line not in known]
    assert len(unjudged) <= max(_MOST_CHANGED * len(lines) / 2, 10), unjudged
