"""What stands around a name, and whether it makes the name one that announces nothing.

A name may be part of a path, of a pattern or of a sentence; it may be an option that means something else to the
program; or a text tool may be looking for it.
"""

import re
from typing import Final, NamedTuple

from agents.memo import Memo
from agents.privacy.rules.program_names import spelled_names
from agents.privacy.rules.value_ranges import enclosing, word_end
from agents.privacy.rules.values import looks_secret_word
from agents.privacy.rules.vocabulary import KeyKind, kind_of_key, word_set

NAME_CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"


def in_command(before: str) -> str:
    """The end of `before` that belongs to the command which it ends in."""
    start = max(before.rfind(sign) for sign in "|;&(`\n") + 1
    exec_ = before.rfind(" -exec", start)
    return before[exec_ + 6 if exec_ >= 0 else start :]


EXAMPLES: Final = {"_STORES": ("put db/", "get db/")}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

TEXT_TOOLS: Final = word_set("""
    grep egrep fgrep zgrep rg ag ack sed awk gawk find fd locate man apropos which whereis type cat less more
    head tail vi vim nano emacs echo printf diff ls pass apt apt-get apt-cache dnf yum apk brew
""")


class Name(NamedTuple):
    """What `NAMED` found: a name, what it announces, and what joins it to a value."""

    key: str
    joint: str
    kind: KeyKind
    is_assigned: bool


def name_of(found: str) -> Name:
    """The parts of what `NAMED` found."""
    joint = found.lstrip(NAME_CHARACTERS)
    key = found[: len(found) - len(joint)].rstrip("-.")
    if joint[0] == "[":  # `password[] = "x"`
        joint = joint[joint.index("]") + 1 :]
    return Name(key, joint, kind_of_key(key), bool(joint.strip(" \n\t\"'`")))


LONGEST_REMEMBERED: Final = 64
NAMES: Final = Memo(name_of, 4096)
"""Some hundreds of names occur, of some 400 bytes each; strangers' names must not push those out at once."""


def is_no_name(text: str, start: int, name: Name, end: int, program: str) -> bool:
    """Whether what reads as a name is part of a path, a pattern or another value, or is known to hold no secret."""
    before, key = text[start - 1] if start else "", name.key
    if before in {"^", "/", ":", "="} and _is_part(text, start, name, end):
        return True
    if before == "+" and text[max(0, start - 2)] in ":,":  # a list of what is switched on
        return True
    if key == "token" and "pkcs11:" in text[max(0, start - _LONGEST_PROSE) : start]:
        return True
    if not name.is_assigned and key.lower() in _PROGRAMS:
        return True
    if key in _OTHER_MEANINGS and not _OTHER_MEANINGS[key].isdisjoint(_running(text, start, program)):
        followed = text[end : word_end(text, end, len(text))]
        return key in _WHATEVER_JOINS or (not name.is_assigned and not looks_secret_word(followed))
    spaced = end and text[end - 1] in " \n" and name.is_assigned and name.joint.strip(" \n") in _TIGHT
    if spaced and not TEXT_TOOLS.isdisjoint(_running(text, start, program)):
        return not looks_secret_word(text[end : word_end(text, end, len(text))].rstrip("\"'").removesuffix("\\n"))
    return _is_prose(text, start, end, program)


def _is_part(text: str, start: int, name: Name, end: int) -> bool:
    """Whether a name behind `^`, `/`, `:` or `=` is part of a pattern, a path, a list or a value."""
    before = text[start - 1]
    if before in {"/", ":"} and not name.is_assigned and _STORES.search(text, max(0, start - 96), start) is not None:
        return False
    if before == "^" or (not name.is_assigned and name.key[0] not in "-_"):
        return True
    if before == "/":
        return name.joint.strip("\"'`) ") == "," or (name.joint == ":" and text.startswith("://", max(0, start - 3)))
    is_list = before == ":" and name.is_assigned and name.joint[0] == ":" and text[end : end + 1].islower()
    return is_list and text[end : word_end(text, end, len(text))].isalpha()


_STORES: Final = re.compile(r"(?i)\b(?:put|set|write|store|add|cas)\s+[^\s]*\Z")
"""A word that stores what follows under a path: `kv put db/password x`."""

_PROGRAMS: Final = word_set("wpa_passphrase mosquitto_passwd jsonwebtoken smbpasswd vncpasswd slappasswd ldappasswd")
"""Programs and packages whose names end in a secret's word."""

_TIGHT: Final = ("=", ":", '":', "':", '":"')
_PROSE_PROGRAMS: Final = word_set("logger echo printf notify-send wall say git gh hg svn")
_LONGEST_PROSE: Final = 256
_PROSE_OPTIONS: Final = ("-m", "--message", "--body", "--title", "--notes", "-am", "--description")


def _is_prose(text: str, start: int, end: int, program: str) -> bool:
    """Whether `password: min length 12` is a sentence: in quotes, several words, of a program that takes messages."""
    inside = enclosing(text, start) if start and text[end - 1] == " " else None
    if inside is None or end > inside.end or inside.end - end > _LONGEST_PROSE:
        return False
    words = text[end : inside.end].split()
    if len(words) < 3 or not all((w.isalpha() and w.islower()) or (w.isdigit() and len(w) < 6) for w in words):
        return False
    option = text[max(0, inside.start - 24) : inside.start - 1].split()[-1:]
    return bool(option and option[0] in _PROSE_OPTIONS) or not _PROSE_PROGRAMS.isdisjoint(
        _running(text, start, program)
    )


def _running(text: str, start: int, program: str) -> set[str]:
    """Names of programs that may run in the command that `start` stands in."""
    before = in_command(text[max(0, start - 96) : start])
    if before.startswith(_ENTERS) or any(word in before for word in _ENTERED):
        return {spelled for word in before.split()[2:6] for spelled in spelled_names(word)}
    found = {spelled for word in before.split()[:6] for spelled in spelled_names(word)}
    return found | set(spelled_names(program)) if len(before) == start else found


_ENTERS: Final = ("exec ", "run ")
_ENTERED: Final = (" exec ", " -- ")
"""What a container's program stands behind."""

_OTHER_MEANINGS: Final = {
    "--secret": word_set("gcloud kubectl oc"),
    "--key": word_set("aws gcloud s3cmd az"),
    "--keyring": word_set("gcloud"),
    "--password": word_set(
        "mysql mysqldump mysqladmin mysqlimport mysqlshow mysqlcheck mysqlbinlog mysqlslap mariadb mariadb-dump "
        "mariadb-admin psql pg_dump pg_dumpall pg_restore createdb dropdb createuser dropuser pg_basebackup vacuumdb"
    ),
    "-pass": word_set("ffmpeg ffprobe mencoder"),
    "--encrypt-key": word_set("duplicity duply"),
    "--sign-key": word_set("duplicity duply gpg gpg2"),
    "--session": word_set("tmux screen byobu"),
    "--token": word_set("softhsm2-util p11tool pkcs11-tool"),
    "--auth": word_set("mongod mongo mongosh"),
    "PASS": word_set("make gmake"),
}
"""Options that mean something else to some programs: a name, a switch that takes no value, a pass."""

_WHATEVER_JOINS: Final = frozenset(_OTHER_MEANINGS) - {"--password"}
"""Of these, the options that hold no secret behind `=` either."""
