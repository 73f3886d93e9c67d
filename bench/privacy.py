"""What redaction costs: `python -m bench.privacy`.

Strings are the project's own tables: everyday command lines; the same with secrets and homes among them, more than most
hosts have; lines that were written to look like secrets, a tenth of the ordinary ones; and the forms of secrets alone.
Cold is the first look at a string by an engine whose automata are warm; warm is a string that it remembers. Hostile
texts of 20 kB are made to be slow; the filter's own share of the stage is timed over events of the workload generator.
Put the folder of an unpacked wheel first on PYTHONPATH to measure it as production runs it, compiled; the table says
which it was. Garbage is collected as seldom as in the stage. Figures are CPU time of the fastest of several passes, for
the machine does other work.
"""

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from agents.privacy.calls import PrivacyFilter
from agents.privacy.policy_file import built_in_policy
from agents.privacy.redaction import engine as engine_module
from agents.privacy.redaction.choices import RedactionChoices
from agents.privacy.redaction.engine import RedactionEngine
from app.processes.garbage import collect_seldom
from app.simulator.workload.generator import Workload, WorkloadOptions
from bench.figures import Row, Table, record, text_of

PASSES: Final = 15
EVENTS: Final = 30_000
KILOBYTES: Final = 20
SECRET_SHARE: Final = 0.02
HOME_SHARE: Final = 0.04

_TABLES: Final = Path(__file__).resolve().parent.parent / "tests" / "golden" / "privacy"

HOSTILE: Final = {
    "--pass repeated": "--pass",
    "--pass x repeated": "--pass x ",
    "password= repeated": "password=",
    "key=value repeated": "a_key=b ",
    "quotes that never close": '--password "a',
    "quotes inside of values": 'password="a"b',
    "addresses": "http://a:b@",
    "homes": "/home/a",
    "program options": "curl -u a:b ",
    "key blocks": "-----BEGIN RSA PRIVATE KEY-----",
    "beginnings of web tokens": "eyJ",
    "substitutions that never close": "X=$(mysql -p",
    "backquotes": "`mysql -pa",
    "quotes in quotes": "'\"'\"' a ",
    "lists of words": '["mysql","-pa",',
    "redirections": "1>&2 <<<a ",
    "separators": "a;b&&c|d ",
    "brackets": "((((",
    "pipes into a program that asks": "echo a1b2c3|sudo -S ",
    "here-documents": "chpasswd <<EOF\n",
    "rows of an insert": "insert into t(password) values ('a'),",
    "verbs": "set password a1B2c3 ",
    "pairs": "-u a:b1 ",
    "escapes": "%70\\x61&#115;",
    "words in base 64": "cGFzc3dvcmQ9eA ",
    "copies of programs": "mysql8.0.real ",
    "calls": "login('a', 'b1C', ",
    "cookies": "Cookie: a=b1; c=d2; ",
    "words of no order": "aB3dE6gH9jK2mN5pQ8 ",
    "secrets stored": "secrets put a --string-value b1 ",
    "files of secrets": "echo a1b>x.secret ",
    "lists of names": "password=x,host=y,id=z,",
    "hexadecimal": ":0123456789abcdef0123456789abcdef ",
    "digits": "1",
    "commas": ",",
    "zero-width characters": "pass\u200bword=x ",
    "another script": "пароль=х ",
}

TALK: Final = frozenset(
    {
        "Programs that talk of secrets without holding one",
        "Options whose names hold a word of secrets",
        "Places for secrets that nobody has filled in",
    }
)
"""Headings of what is ordinary and hard: a host runs few of such lines, so they are measured by themselves."""

Line = tuple[str, str]


def main() -> None:
    """Measure and record."""
    collect_seldom()
    tables = [_strings(), _hostile(), _events()]
    for table in tables:
        print(text_of(table))
    record("privacy", tables)


def _lines(name: str) -> dict[str, list[Line]]:
    """Binary and arguments of each line of a table, by heading; the secret of a form is filled in."""
    found: dict[str, list[Line]] = {}
    heading = ""
    for line in (_TABLES / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.removeprefix("# ")
        elif line:
            program, _, arguments = line.partition(" ")
            text = arguments.replace("{S}", "Tr0ub4dorAnd3")
            found.setdefault(heading, []).append((f"/usr/bin/{program}", text))
    return found


def _mixed(ordinary: Sequence[Line], secrets: Sequence[Line]) -> list[Line]:
    """Ordinary lines with secrets and home directories among them."""
    chance = random.Random(1)
    homes = [(binary, f"/home/ann/src/{number} {rest}") for number, (binary, rest) in enumerate(ordinary)]
    return [
        *ordinary,
        *chance.sample(list(secrets), round(len(ordinary) * SECRET_SHARE)),
        *chance.sample(homes, round(len(ordinary) * HOME_SHARE)),
    ]


def string_sets() -> dict[str, list[Line]]:
    """The lines that are measured, by the name of their row."""
    ordinary = _lines("ordinary_commands.txt")
    everyday = [line for heading, lines in ordinary.items() if heading not in TALK for line in lines]
    secrets = [line for lines in _lines("secret_forms.txt").values() for line in lines]
    return {
        "everyday command lines": everyday,
        f"with {SECRET_SHARE:.0%} secrets and {HOME_SHARE:.0%} homes": _mixed(everyday, secrets),
        "lines that talk of secrets": [line for heading in sorted(TALK) for line in ordinary[heading]],
        "secrets alone": secrets,
    }


def _strings() -> Table:
    rows = []
    for name, lines in string_sets().items():
        engine = RedactionEngine(RedactionChoices())
        cold = _best(partial(_ask, engine, lines), before=engine.forget)
        warm = _best(partial(_ask, engine, lines))
        mean = sum(len(arguments) for _, arguments in lines) / len(lines)
        rows.append(
            Row(
                name,
                {
                    "strings": len(lines),
                    "mean length": mean,
                    "cold µs": cold / len(lines) * 1e6,
                    "warm µs": warm / len(lines) * 1e6,
                },
            )
        )
    compiled = engine_module.__file__.endswith(".so")
    return Table("Redaction of argument strings", {"passes": PASSES, "compiled": str(compiled).lower()}, rows)


def _ask(engine: RedactionEngine, lines: Sequence[Line]) -> None:
    for binary, arguments in lines:
        engine.arguments(binary, arguments, truncated=False)


def _hostile() -> Table:
    engine = RedactionEngine(RedactionChoices())
    rows = []
    for name, unit in HOSTILE.items():
        text = unit * (KILOBYTES * 1000 // len(unit.encode()))
        best = _best(partial(engine.arguments, "/usr/bin/mysql", text, truncated=False))
        rows.append(Row(name, {"ms": best * 1e3}))
    return Table(f"Hostile arguments of {KILOBYTES} kB", {"passes": PASSES}, rows)


def _events() -> Table:
    canonicalizer = Canonicalizer({})
    outcomes = (
        canonicalizer.canonicalize(raw, 0, offset, 0)
        for offset, raw in enumerate(Workload(WorkloadOptions(events=EVENTS)).events())
    )
    events = [outcome.value for outcome in outcomes if isinstance(outcome, Canonical)]
    policy = built_in_policy("default")
    privacy = PrivacyFilter(policy, RedactionEngine(policy.choices))
    start = time.process_time()
    _filter(privacy, events)
    cold = time.process_time() - start
    warm = _best(lambda: _filter(privacy, events), passes=3)
    rows = [
        Row("first time", {"CPU µs/event": cold / len(events) * 1e6}),
        Row("again", {"CPU µs/event": warm / len(events) * 1e6}),
    ]
    return Table("The filter's share of the stage", {"events": len(events)}, rows)


def _filter(privacy: PrivacyFilter, events: Sequence[bytes]) -> None:
    for event in events:
        privacy.filter(event)


def _best(action: Callable[[], object], *, before: Callable[[], None] | None = None, passes: int = PASSES) -> float:
    """CPU seconds of the fastest pass, after one that warms automata."""
    action()
    best = float("inf")
    for _ in range(passes):
        if before is not None:
            before()
        start = time.process_time()
        action()
        best = min(best, time.process_time() - start)
    return best


if __name__ == "__main__":
    main()
