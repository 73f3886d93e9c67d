"""Judges the redaction engine on rows with known secrets: which are caught, how exactly, and behind which wrappers.

A row is an argument vector and its secrets. The engine sees it as an agent reports it: the items joined by spaces, with
`"` around an item that holds one. `python -m tests.support.privacy_judge FILE` prints the figures of a file of rows.
"""

import json
import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from agents.privacy.redaction.answers import Cleared
from tests.support.privacy import engine

Argv = Sequence[str]
Wrapper = Callable[[Argv], Argv]

_MASK: Final = re.compile(r"(\[redacted\]|\[credential\]|\[user\]|~)")
_PUNCTUATION: Final = re.compile(r"[\W_]*")


class SecretRow(NamedTuple):
    """A command line with secrets, and the number that its author gave it."""

    number: int
    argv: tuple[str, ...]
    secrets: tuple[str, ...]


class Verdict(NamedTuple):
    """What the engine made of a row."""

    left: str
    is_caught: bool
    is_exact: bool
    """Nothing but the secrets and adjoining punctuation is masked."""
    hit_neighbour: bool
    """A secret stands beside a mask that covers none."""
    settles: bool
    """Redacting what left changes nothing."""


def read_rows(text: str) -> list[SecretRow]:
    """Rows of JSON lines with `id`, `argv` and `secrets`."""
    rows = map(json.loads, filter(str.strip, text.splitlines()))
    return [SecretRow(row["id"], tuple(row["argv"]), tuple(row["secrets"])) for row in rows]


def joined(argv: Argv) -> str:
    """Arguments as the agent joins them: it quotes an item that holds a space, and escapes nothing."""
    return " ".join(f'"{item}"' if " " in item else item for item in argv)


def left_of(argv: Argv) -> str:
    """What leaves of the arguments of a command line."""
    answer = engine().arguments(argv[0], joined(argv[1:]), truncated=False)
    assert isinstance(answer, Cleared), answer
    return answer.text


def judge(argv: Argv, secrets: Iterable[str]) -> Verdict:
    """What becomes of `argv`, whose secrets are known."""
    before, secrets = joined(argv[1:]), [secret for secret in secrets if secret]
    left = left_of(argv)
    again = engine().arguments(argv[0], left, truncated=False)
    covered = _masked_parts(before, left)
    caught = not any(_stands_in(secret, left, before) for secret in secrets)
    strange = [part for part in covered if not any(secret in part or part in secret for secret in secrets)]
    extra = [rest for part in covered if (rest := _without(part, secrets))]
    return Verdict(
        left,
        caught,
        caught and not any(map(_is_more, extra)),
        not caught and bool(strange),
        isinstance(again, Cleared) and again.text == left,
    )


def _stands_in(secret: str, left: str, before: str) -> bool:
    """Whether `secret` is still there as a word of its own; a short one may be part of another word."""
    border = r"(?<![A-Za-z0-9])" if secret[0].isalnum() and len(secret) < 8 else ""
    behind = r"(?![A-Za-z0-9])" if secret[-1].isalnum() and len(secret) < 8 else ""
    pattern = re.compile(border + re.escape(secret) + behind)
    return secret in left and (pattern.search(left) is not None or pattern.search(before) is None)


def _masked_parts(before: str, left: str) -> list[str]:
    """The parts of `before` that `left` shows as masks, without homes."""
    pieces = _MASK.split(left)
    pattern = "".join("(.*?)" if _MASK.fullmatch(piece) else re.escape(piece) for piece in pieces)
    found = re.fullmatch(pattern, before, re.DOTALL)
    if found is None:
        return [before]
    masks = [piece for piece in pieces if _MASK.fullmatch(piece)]
    return [
        part
        for mask, part in zip(masks, found.groups(), strict=True)
        if mask not in {"~", "[user]", "[credential]"} and part != mask
    ]


def _without(part: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        part = part.replace(secret, "")
    return part


def _is_more(rest: str) -> bool:
    return _PUNCTUATION.fullmatch(rest) is None


def _before(*words: str) -> Wrapper:
    return lambda argv: (*words, *argv)


def _shell(template: str) -> Wrapper:
    """`template` with the line as a shell writes it in the place of `@`."""
    return lambda argv: ("/bin/sh", "-c", template.replace("@", shlex.join(argv)))


def _script(argv: Argv) -> Argv:
    return ("/usr/bin/script", "-c", shlex.join(argv), "/dev/null")


def _renamed(suffix: str) -> Wrapper:
    return lambda argv: (argv[0] + suffix, *argv[1:])


WRAPPERS: Final[dict[str, Wrapper]] = {
    "sudo": _before("sudo"),
    "sudo -u": _before("sudo", "-u", "app"),
    "env": _before("env", "LANG=C"),
    "timeout": _before("timeout", "30"),
    "nice": _before("nice", "-n", "5"),
    "nohup": _before("nohup"),
    "setsid": _before("setsid"),
    "strace": _before("strace", "-f"),
    "docker exec": _before("docker", "exec", "-i", "web"),
    "docker run": _before("docker", "run", "--rm", "image:1"),
    "kubectl exec": _before("kubectl", "exec", "web-0", "--"),
    "nsenter": _before("nsenter", "-t", "1", "-m"),
    "xargs": _before("xargs", "-n1"),
    "systemd-run": _before("systemd-run", "--scope"),
    "chroot": _before("chroot", "/mnt"),
    "busybox": _before("busybox"),
    "ld.so": _before("/lib64/ld-linux-x86-64.so.2"),
    "sh -c": _shell("@"),
    "X=$()": _shell("X=$(@)"),
    'X="$()"': _shell('X="$(@)"'),
    "export X=$()": _shell("export X=$(@ 2>/dev/null)"),
    "backticks": _shell("X=`@`"),
    "&& glued": _shell("cd /srv&&@"),
    "; glued": _shell("true;@"),
    "| glued": _shell("cat f|@"),
    "|| exit": _shell("@ || exit 1"),
    "<()": _shell("diff <(@) f"),
    ">()": _shell("tee >(@) <f"),
    "case": _shell("case a in b)@;;esac"),
    "if": _shell("if @; then true; fi"),
    "for": _shell("for i in 1 2;do @;done"),
    "while": _shell("while ! @;do sleep 1;done"),
    "( )": _shell("(@)"),
    "{ }": _shell("{ @; }"),
    "echo $()": _shell("echo $(@)"),
    "$() in $()": _shell("X=$(Y=$(@) true)"),
    "redirected": _shell("@>out 2>&1"),
    "redirected first": _shell(">out 2>&1 @"),
    "assigned first": _shell("LANG=C @"),
    "many lines": _shell("set -e\n@\ntrue\n"),
    "background": _shell("@&"),
    "subshell, glued": _shell("(cd /srv;@)|tail"),
    "su -c": lambda argv: ("su", "app", "-c", shlex.join(argv)),
    "ssh": lambda argv: ("ssh", "host", shlex.join(argv)),
    "watch": lambda argv: ("watch", shlex.join(argv)),
    "script": _script,
    "find -exec": lambda argv: ("find", ".", "-exec", *argv, ";"),
    "docker exec sh -c": lambda argv: ("docker", "exec", "web", "sh", "-c", shlex.join(argv)),
    "version": _renamed("8.0"),
    ".real": _renamed(".real"),
    "(deleted)": _renamed(" (deleted)"),
}
"""Ways in which a command line stands inside another, by name."""

LANGUAGES: Final[dict[str, Wrapper]] = {
    "subprocess.run([])": lambda argv: ("python3", "-c", f"subprocess.run({[*argv]!r}, check=True)"),
    "os.system": lambda argv: ("python3", "-c", f"import os; os.system({shlex.join(argv)!r})"),
    "JSON array": lambda argv: ("tool", json.dumps([*argv])),
    "JSON, glued": lambda argv: ("tool", json.dumps({"command": [*argv]}, separators=(",", ":"))),
    "exec.Command": lambda argv: ("go", f"exec.Command({', '.join(map(json.dumps, argv))}).Run()"),
    "spawn": lambda argv: ("node", "-e", f"spawn({json.dumps(argv[0])}, {json.dumps([*argv[1:]])})"),
    "perl system": lambda argv: ("perl", "-e", f"system({','.join(map(repr, argv))});"),
}
"""Ways in which other languages write a command line, by name."""


class JudgedRows(NamedTuple):
    """Verdicts of a set of rows."""

    verdicts: list[tuple[SecretRow, Verdict]]

    def share(self, is_true: Callable[[Verdict], bool]) -> float:
        """The share of rows whose verdict is such."""
        return sum(is_true(verdict) for _, verdict in self.verdicts) / max(len(self.verdicts), 1)


def judged(rows: Iterable[SecretRow]) -> JudgedRows:
    """The verdict of every row."""
    return JudgedRows([(row, judge(row.argv, row.secrets)) for row in rows])


def kept(caught: Iterable[SecretRow], wrappers: dict[str, Wrapper]) -> Iterator[tuple[str, SecretRow, Verdict]]:
    """Every row behind every wrapper: the wrapper's name, the row and the verdict."""
    for row in caught:
        for name, wrap in wrappers.items():
            yield name, row, judge(wrap(row.argv), row.secrets)


def _report(rows: list[SecretRow]) -> Iterator[str]:
    found = judged(rows)
    caught = [row for row, verdict in found.verdicts if verdict.is_caught]
    exact = found.share(lambda verdict: verdict.is_exact)
    yield f"{len(rows)} rows: caught {found.share(lambda verdict: verdict.is_caught):.1%}, exact {exact:.1%}"
    yield f"masks on a neighbour {sum(v.hit_neighbour for _, v in found.verdicts)}"
    yield f"unsettled {sum(not v.settles for _, v in found.verdicts)}"
    for title, wrappers in (("wrappers", WRAPPERS), ("languages", LANGUAGES)):
        fallen: Counter[str] = Counter()
        neighbours = unsettled = total = 0
        for name, _, verdict in kept(caught, wrappers):
            total += 1
            fallen[name] += not verdict.is_caught
            neighbours += verdict.hit_neighbour
            unsettled += not verdict.settles
        lost = ", ".join(f"{name} {count}" for name, count in fallen.most_common() if count)
        share = 1 - fallen.total() / max(total, 1)
        yield f"{title}: {share:.2%} of {total} stay, neighbours {neighbours}, unsettled {unsettled}; lost: {lost}"


def main() -> None:
    """Print the figures of the files that the command line names."""
    for name in sys.argv[1:]:
        rows = read_rows(Path(name).read_text(encoding="utf-8"))
        for line in _report(rows):
            print(f"{name}: {line}")  # noqa: T201 - a tool for the terminal


if __name__ == "__main__":
    main()
