"""Ordinary command lines of the machine, from three sources: examples of manual pages, maintainer scripts, units.

`python -m tests.support.ordinary_lines` prints the lines that the privacy filter changes and nobody has judged, with
what leaves; a folder behind it is looked at as well, such as one with unpacked packages. The judged lines stand in
`tests/golden/privacy/ordinary/verdicts.jsonl`.
"""

import gzip
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from agents.privacy.redaction.answers import Cleared
from tests.support.privacy import engine

VERDICTS: Final = Path(__file__).parent.parent / "golden" / "privacy" / "ordinary" / "verdicts.jsonl"
_MANUALS: Final = "usr/share/man"
_SCRIPTS: Final = "var/lib/dpkg/info"
_UNITS: Final = ("lib/systemd/system", "usr/lib/systemd/system")

_OPENS: Final = (".nf", ".EX", ".Vb", ".Bd", ".DS", ".CS")
_CLOSES: Final = (".fi", ".EE", ".Ve", ".Ed", ".DE", ".CE")
_FONT: Final = re.compile(r"\\f(?:\[[A-Z]*\]|\([A-Z]{2}|.)|\\s[+\-]?\d")
_SPELLED: Final = {
    "\\-": "-", "\\(aq": "'", "\\(dq": '"', "\\(cq": "'", "\\(oq": "'", "\\e": "\\", "\\(rs": "\\", "\\&": "",
    "\\|": "", "\\^": "", "\\ ": " ", "\\~": " ", "\\*(Aq": "'", "\\*(--": "--", "\\(ha": "^", "\\(ti": "~",
    "\\(lq": '"', "\\(rq": '"', "\\(ga": "`", "\\[aq]": "'", "\\[dq]": '"', "\\/": "", "\\,": "", "\\:": "",
}  # fmt: skip
_ESCAPED: Final = re.compile("|".join(map(re.escape, sorted(_SPELLED, key=len, reverse=True))))
_PROMPT: Final = re.compile(r"^(?:\w+@?\w*)?[$#%>]\s+")
_EXEC: Final = re.compile(r"^Exec\w+=[@\-:+!|]*(\S.*)$", re.MULTILINE)
_PROGRAM: Final = re.compile(r"[a-z0-9./_][\w./+\-]*\Z")
_KEYWORDS: Final = frozenset(
    "if then else elif fi for do done while case esac return exit set local true false break shift export".split()  # noqa: SIM905 - a list of words reads as text
)


class OrdinaryLine(NamedTuple):
    """A command line as its source has it."""

    source: str
    line: str


class ChangedLine(NamedTuple):
    """An ordinary line that the filter changes, and what leaves of it."""

    source: str
    line: str
    left: str


def ordinary_lines(*roots: Path) -> list[OrdinaryLine]:
    """Every distinct command line of the sources below `roots`, which are folders like `/`."""
    found = dict.fromkeys(
        OrdinaryLine(source, line)
        for root in roots
        for source, lines in (
            ("manual", _examples(root / _MANUALS)),
            ("script", _script_lines(root / _SCRIPTS)),
            ("unit", _unit_lines(root)),
        )
        for line in lines
        if 3 <= len(line) <= 2000
    )
    return list({line.line: line for line in reversed(found)}.values())


def changed_lines(lines: list[OrdinaryLine]) -> Iterator[ChangedLine]:
    """The lines that lose more than a home or the name of a key file."""
    for source, line in lines:
        left = left_of_line(line)
        if "[redacted]" in left.replace(line, ""):
            yield ChangedLine(source, line, left)


class JudgedLine(NamedTuple):
    """A changed line, what left of it then, and whether that was right."""

    source: str
    line: str
    left: str
    verdict: str
    why: str


def judged_lines() -> list[JudgedLine]:
    """The lines that somebody has judged."""
    rows = map(json.loads, VERDICTS.read_text(encoding="utf-8").splitlines())
    return [JudgedLine(**row) for row in rows]


def left_of_line(line: str) -> str:
    """What leaves of a command line whose first word is the program."""
    program, _, arguments = line.partition(" ")
    answer = engine().arguments(program, arguments, truncated=False)
    assert isinstance(answer, Cleared), answer
    return f"{program} {answer.text}"


def _examples(manuals: Path) -> Iterator[str]:
    """Command lines in literal blocks of manual pages, whose first word has a page of its own."""
    pages = sorted([*manuals.glob("man1/*.gz"), *manuals.glob("man8/*.gz")])
    programs = {page.name.split(".")[0] for page in pages}
    for page in pages:
        yield from (line for line in _literal_lines(_text_of(page)) if line.split(" ", 1)[0] in programs)


def _text_of(page: Path) -> str:
    try:
        return gzip.decompress(page.read_bytes()).decode("utf-8", "replace")
    except OSError:
        return ""


def _literal_lines(page: str) -> Iterator[str]:
    inside = False
    before = ""
    for raw in page.splitlines():
        if raw.startswith(_OPENS):
            inside = True
        elif raw.startswith(_CLOSES):
            inside = False
        elif raw.startswith(".Dl ") or (inside and not raw.startswith((".", "'"))):
            line = before + _ESCAPED.sub(lambda found: _SPELLED[found.group()], _FONT.sub("", raw.removeprefix(".Dl ")))
            if line.rstrip().endswith("\\"):
                before = line.rstrip()[:-1].rstrip() + " "
                continue
            before = ""
            yield _PROMPT.sub("", line.strip())


def _script_lines(scripts: Path) -> Iterator[str]:
    for kind in ("preinst", "postinst", "prerm", "postrm", "config"):
        for script in sorted(scripts.glob(f"*.{kind}")):
            text = script.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
            for line in text.splitlines():
                plain = " ".join(line.split())
                first = plain.split(" ", 1)[0]
                if _PROGRAM.match(first) and first not in _KEYWORDS and " " in plain:
                    yield plain


def _unit_lines(root: Path) -> Iterator[str]:
    for unit in sorted(unit for folder in _UNITS for unit in (root / folder).rglob("*.service")):
        if unit.is_file():
            text = unit.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
            yield from (" ".join(found.group(1).split()) for found in _EXEC.finditer(text))


def main() -> None:
    """Print the changed lines of this machine that have no verdict, and the counts."""
    lines = ordinary_lines(Path("/"), *map(Path, sys.argv[1:]))
    changed, judged = list(changed_lines(lines)), {row.line: row.verdict for row in judged_lines()}
    for row in changed:
        if row.line not in judged:
            print(json.dumps(row._asdict(), ensure_ascii=False))  # noqa: T201 - a tool for the terminal
    wrong = sum(judged.get(row.line) == "wrong" for row in changed)
    print(f"{len(lines)} lines, {len(changed)} changed, {wrong} of them wrongly")  # noqa: T201 - as above


if __name__ == "__main__":
    main()
