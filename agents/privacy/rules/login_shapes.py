"""Secrets that the shape of a login gives away, beside a program that nobody knows.

Six shapes: `user:secret` as the value of a login option; `domain/user:secret`; `-p secret` beside an option that names
a user; `-p` alone where the value looks like a secret; any short option with a value as people or machines make
passwords; and a word of no order anywhere. A value that is a number, a file, a folder or an address is none.
"""

import re
from collections.abc import Sequence
from typing import Final

from agents.privacy.matching.gate import compiled
from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.matching.scan import Scan
from agents.privacy.rules.command_words import CommandWord
from agents.privacy.rules.login_words import (
    MAX_SPACES,
    NUMBER,
    inner_text,
    is_candidate,
    is_code,
    is_phrase,
    is_random,
    is_typed,
    program_commands,
)
from agents.privacy.rules.values import (
    CHOSEN,
    SCRAMBLED,
    is_no_secret,
    looks_leet,
    looks_leet_and_mixed,
    looks_scrambled,
    looks_typed,
)
from agents.privacy.rules.vocabulary import word_set

PAIR_GATE: Final = (
    r"(?:\A|[\s\"'(,\[;|&<>`])-(?:(?-i:[uacnlCAU])|id|-?[a-z0-9\-]*(?:user|login|auth|basic|creds?|credentials|userpass|user-pass|account))"
    r"[\"']?[\s=,]+[\"']?[a-z0-9_][a-z0-9_.@+\\\-]*[:%][^\s/\\:]"
)
"""A login option, and a value with a colon."""

_USER_OPTION: Final = r"(?:-[uU]|--?user(?:name|id)?|--?login(?:name)?|--?email|--account|--principal)"
_ITS_OPTION: Final = r"-(?:p|P|w|W|k|pw|pwd)"
_COULD_BE_TYPED: Final = r"[\s,=]+[\"']?[0-9]*[^\s0-9:.,;/\"'\-$]"

BESIDE_GATE: Final = (
    rf"(?s)(?:\A|[\s\"'(,\[;|&<>`]){_USER_OPTION}[\s\"'=,].*[\s\"'(,\[;|&<>`]{_ITS_OPTION}[\"']?{_COULD_BE_TYPED}"
    rf"|(?:\A|[\s\"'(,\[;|&<>`]){_ITS_OPTION}[\"']?{_COULD_BE_TYPED}.*[\s\"'(,\[;|&<>`]{_USER_OPTION}(?:[\s\"'=,]|\z)"
    rf"|(?:\A|[\s\"'(,\[;|&<>`])(?:{_USER_OPTION}[\s\"'=,]|-u[a-z][a-z]).*[\s\"'(,\[;|&<>`]-[pP][^\s]*[0-9!#$%^&*]"
)
"""An option that names a user, and one that could hold its password, in any order."""

BESIDE_HINT: Final = (
    rf"(?:\A|[\s\"'(,\[;|&<>`]){_ITS_OPTION}[\"']?{_COULD_BE_TYPED}"
    r"|[\s\"'(,\[;|&<>`]-[pP][^\s]*[0-9!#$%^&*]"
)
"""An option that could hold a password, wherever the user is."""

DOMAIN_GATE: Final = r"(?:\A|[\s\"'(,\[;|&<>`])[a-z0-9_.\-]+[/\\]+[a-z0-9_.$\-]+:[^\s/]"
"""`domain/user:` and something behind it."""

LONE_VALUE_GATE: Final = (
    r"(?:\A|[\s\"'(,\[;|&<>`])-(?:[agx]?p|P|pw|w|W|k|K)[\"']?[\s,=]+(?:[\"'][^\"']*\s[^\"']*[0-9]|[\"'][^\"']*[0-9][^\"']*\s"
    r"|[\"']?(?:[a-z_][^\s/=]*[0-9!#$%^&*]|[0-9][^\s/=]*[a-z!#$%^&*]|[!#&*?~=>,;:][^\s/]*[0-9a-z!#$%^&*]))"
    rf"|(?-i:(?:\A|[\s\"'(,\[;|&<>`])-[taAT][\"']?[\s,]+[\"']?{'[A-Za-z0-9]' * 24})"
    rf"|(?-i:(?:\A|[\s\"'(,\[;|&<>`])-[A-Za-z][\"']?[\s,]+[\"']?{CHOSEN})"
    r"|(?-i:(?:\A|[\s\"'(,\[;|&<>`])-[A-Za-z][\"']?[\s,]*[\"']?(?:[A-Za-z_\-]*[0-9]){3}[A-Za-z0-9_\-]*[A-Z])"
    r"|(?-i:(?:\A|[\s\"'(,\[;|&<>`])-[A-Za-z][\"']?[\s,]*[\"']?[A-Za-z0-9_\-]*[A-Z](?:[A-Za-z_\-]*[0-9]){3})"
    r"|(?-i:(?:\A|[\s\"'(,\[;|&<>`])-[A-Za-z][\"']?[\s,]*[\"']?[A-Za-z0-9_\-]*[0-9][a-z_\-]*[A-Z]+[a-z0-9_\-]*[0-9][A-Za-z_\-]*[0-9])"
    r"|(?-i:(?:\A|[\s\"'(,\[;|&<>`])-[A-Za-z][\"']?[\s,]*[\"']?[A-Za-z0-9_\-]*[0-9][A-Za-z_\-]*[0-9][a-z_\-]*[A-Z]+[A-Za-z_\-]*[0-9])"
)
"""An option that is often a password's, with a value that has a digit or a space; a short option with a mixed value."""

SCRAMBLED_GATE: Final = rf"(?:\A|[^A-Za-z0-9+/_\-]){SCRAMBLED}(?:[^A-Za-z0-9+/_\-=]|\z)"
"""A word in which capitals begin again and again."""

_SCRAMBLED: Final = compiled(SCRAMBLED_GATE, captures=False)
_PAIRS: Final = compiled(f"(?:{PAIR_GATE})|(?:{DOMAIN_GATE})", ignore_case=True, captures=False)
BESIDE: Final = compiled(BESIDE_GATE, ignore_case=True, captures=False)
_LONE_VALUE: Final = compiled(LONE_VALUE_GATE, ignore_case=True, captures=False)
_PAIR_OPTION: Final = re.compile(
    r"-(?:[uacnlCAU]|id|-?[a-z0-9\-]*(?:user|login|auth|basic|creds?|credentials|userpass|user-pass|account))\Z"
)
_PAIR: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.@+\-]*(?:\\[A-Za-z0-9_.\-]+)?)[:%]([^\n]+)\Z")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9_.\-]+[/\\]+[A-Za-z0-9_.$\-]+:([^\s/@]+)\Z")
_USER: Final = re.compile(rf"{_USER_OPTION}(?:=|\Z)")
_ATTACHED_USER: Final = re.compile(r"-u[a-z]{2,}\Z")
_SECRET: Final = re.compile(rf"{_ITS_OPTION}\Z")
EXAMPLES: Final = {
    "PAIR_GATE": ("tool -u ann:hunter2", "tool -u ann"),
    "_USER_OPTION": ("-u ann", "ann"),
    "_ITS_OPTION": ("-p x", "p x"),
    "_COULD_BE_TYPED": (" x", " 8080"),
    "BESIDE_GATE": ("tool -u ann -p hunter2 x", "tool -u ann"),
    "DOMAIN_GATE": ("tool CORP/ann:hunter2", "tool CORP/ann"),
    "CHOSEN": ("d3luGe", "deluge"),
    "SCRAMBLED": ("aBcDeFg", "aBc"),
    "SCRAMBLED_GATE": ("x aBcDeFgH1jKl", "x MyName"),
    "_SCRAMBLED": ("x aBcDeFgH1jKl", "x MyName"),
    "_PAIRS": ("tool -u ann:hunter2", "tool -u ann"),
    "BESIDE_HINT": ("tool -p hunter2", "tool -u ann"),
    "BESIDE": ("tool -u ann -p hunter2 x", "tool -u ann"),
    "_LONE_VALUE": ("tool -p hunter2", "tool -p name"),
    "_PUBLIC": ("--public-key", "--key"),
    "_TOKEN": ("a1b2c3d4", "a1"),
    "_PAIR_OPTION": ("-u", "u"),
    "_PAIR": ("ann:hunter2", "ann"),
    "_DOMAIN": ("CORP/ann:hunter2", "CORP/ann"),
    "_USER": ("-u", "u"),
    "_ATTACHED_USER": ("-uann", "-u"),
    "_SECRET": ("-p", "p"),
    "LONE_VALUE_GATE": ("tool -p hunter2", "tool -p name"),
    "_LONE": ("-p", "-q"),
    "_WORDS": ("correct7horse", "node-2"),
    "_SHORT": ("-t", "--t"),
    "_GLUED": ("-tx", "-t"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

_NO_LOGIN: Final = word_set("""
    systemd-run chpst setpriv install ps pgrep pkill ssh scp sftp id mkdir nmap iptables ip6tables nft tcpdump screen
    tmux journalctl systemctl useradd usermod userdel groupadd chage make read xargs date uniq stat du df top strace
    ltrace perf lsof sort cut head tail col column fmt ls nsenter pip pip3 gcc g++ cc ld ffmpeg unshare bwrap runuser
    mysql mysqldump mysqladmin mysqlimport mysqlshow mysqlcheck mysqlbinlog mariadb mariadb-dump mariadb-admin psql
    pg_dump pg_restore pg_dumpall createdb createuser dropdb dropuser vacuumdb p4 snmpwalk snmpget snmpset ipmitool
    nc ncat socat memcached patch cp rm mv split curl wget
""")
"""Programs whose `-u`, `-p` and the like are known and mean something else."""

_NO_PAIR: Final = word_set(
    "ffmpeg ffprobe ssh scp rsync git ip tc nmap docker-compose add-apt-repository debconf-copydb"
)
_TAKE_GROUPS: Final = word_set(
    "docker podman nerdctl kubectl systemd-run chpst setpriv su-exec gosu install runuser chown"
)
"""Programs whose `-u user:group` names a group."""


def login_pairs(scan: Scan, program: str) -> list[Mask]:
    """Masks over the secret in `-u user:secret` and `domain/user:secret`; `program` is the binary's basename."""
    masks: list[Mask] = []
    for words, names in program_commands(scan, program, _NO_PAIR, _PAIRS, masks):
        _pairs(scan, words, masks, groups=not names.isdisjoint(_TAKE_GROUPS))
    return masks


def secrets_beside_users(scan: Scan, program: str) -> list[Mask]:
    """Masks over the value of `-p` and its like beside an option that names a user."""
    masks: list[Mask] = []
    for words, _ in program_commands(scan, program, _NO_LOGIN, BESIDE, masks, enters=True):
        _beside_user(scan, words, masks)
    return masks


def lone_secrets(scan: Scan, program: str) -> list[Mask]:
    """Masks over values of `-p` and its like that look like secrets, and over random values of any short option."""
    masks: list[Mask] = []
    for words, _ in program_commands(scan, program, _NO_LONE, _LONE_VALUE, masks, enters=True):
        before = ""
        for word in words:
            text = inner_text(scan, word)
            if before[:1] == "-" and _is_value_alone(before, text):
                masks.append(Mask(word.inner, word.inner_end, REDACTED, "shape"))
            elif _GLUED.match(text) and is_random(text[2:]):
                masks.append(Mask(word.inner + 2, word.inner_end, REDACTED, "shape"))
            before = text if " " not in text else ""
    return masks


def _is_value_alone(option: str, text: str) -> bool:
    """Whether the word behind a short option is a secret by its looks."""
    is_value = text[:1] != "-" and _LONE.match(option) is not None and not is_code(text)
    if is_value and (is_typed(text) or _WORDS.match(text) is not None):
        return True
    if option in _TOKEN_OPTIONS and len(text) >= _LONG_TOKEN and _TOKEN.match(text) is not None:
        return True
    if _SHORT.match(option) is None:
        return False
    return is_random(text) or (text[:1] != "-" and looks_leet_and_mixed(text) and is_typed(text) and not is_code(text))


def scrambled_words(scan: Scan, program: str) -> list[Mask]:
    """Masks over words in which letters and digits follow each other in no order, as in tokens."""
    masks: list[Mask] = []
    for words, _ in program_commands(scan, program, _SHOWS_NAMES, _SCRAMBLED, masks):
        before = ""
        for word in words:
            text = inner_text(scan, word)
            if (
                text[:1] != "-"
                and looks_scrambled(text)
                and not text.startswith(_DIGESTS)
                and _PUBLIC.search(before) is None
            ):
                masks.append(Mask(word.inner, word.inner_end, REDACTED, "shape"))
            before = text
    return masks


_SHOWS_NAMES: Final = word_set("nm c++filt objdump gdb perf addr2line readelf git gpg gpg2 ssh-keygen")
"""Programs whose words are names that a compiler made, or digests and public keys."""

_DIGESTS: Final = ("_Z", "_R", "sha", "SHA", "AAAA", "http")
_PUBLIC: Final = re.compile(r"(?i)pub|sha[0-9]|md5|hash|digest|checksum|fingerprint|\Apeer\Z|\Assh-")
"""What stands before a public key or a digest."""

_OWN_P: Final = word_set("""
    docker podman nerdctl kubectl perl ruby php node python python3 git bash sh zsh dash rsync java go cargo npm yarn
    sed awk grep egrep jq find tar systemd-run msfvenom gs convert ffmpeg inkscape sudo doas su gdb emacs vim vi
""")
_NO_LONE: Final = _NO_LOGIN | _OWN_P
_LONE: Final = re.compile(r"-(?:[agx]?p|P|pw|w|W|k|K)\Z")
_WORDS: Final = re.compile(r"(?=.{8})[a-z]+\d{1,4}[a-z]{2,}\d*\Z")
"""Words with a number between them, as people choose passwords."""

_TOKEN_OPTIONS: Final = ("-t", "-a", "-A", "-T")
_LONG_TOKEN: Final = 24
_TOKEN: Final = re.compile(r"(?:[A-Za-z]*[0-9]){4}[A-Za-z0-9]*\Z")
"""Letters and digits without a break."""

_SHORT: Final = re.compile(r"-[A-Za-z]\Z")
_GLUED: Final = re.compile(r"-[A-Za-z][A-Za-z0-9]")


def _pairs(scan: Scan, words: Sequence[CommandWord], masks: list[Mask], *, groups: bool) -> None:
    """`-u user:secret` and `domain/user:secret`."""
    before = ""
    is_told = any(_LONE.match(inner_text(scan, word)) for word in words)  # by another option
    for word in words:
        text, start = inner_text(scan, word), word.inner
        if before[:1] != "-" and (domain := _DOMAIN.match(text)) is not None and is_typed(domain.group(1)):
            masks.append(Mask(start + domain.start(1), start + domain.end(1), REDACTED, "shape"))
        option, equals, value = text.partition("=") if text[:1] == "-" else (before, "", text)
        if _PAIR_OPTION.match(option) is not None and value:
            at = start + len(text) - len(value)
            pair = _PAIR.match(value)
            loose = option[1:2] in "uU-" and not groups
            if pair is not None and (
                (is_told and pair.group(2).isalpha()) or (option == "-l" and not is_typed(pair.group(2)))
            ):
                pair = None
            if pair is not None and _is_secret_of(pair.group(1), pair.group(2), loose=loose):
                masks.append(Mask(at + pair.start(2), at + pair.end(2), REDACTED, "shape"))
        before = text if not equals else ""


def _is_secret_of(user: str, secret: str, *, loose: bool) -> bool:
    """Whether `user:secret` is a login, rather than a port, a group, an image or an address."""
    if " " in secret and not (secret.count(" ") < MAX_SPACES and is_phrase(secret)):
        return False
    if (
        secret[0] in "/\\: "
        or "//" in secret
        or user == secret
        or NUMBER.match(secret) is not None
        or is_no_secret(secret)
    ):
        return False
    return loose or not secret.isalpha() or looks_typed(secret)


def _beside_user(scan: Scan, words: Sequence[CommandWord], masks: list[Mask]) -> None:
    """`-p secret` beside `-u user`."""
    texts = [inner_text(scan, word) for word in words]
    is_attached = any(_ATTACHED_USER.match(text) for text in texts)
    is_apart = any(text[:1] == "-" and _USER.match(text) for text in texts)
    if not is_apart and not is_attached:
        return
    for index, text in enumerate(texts):
        word = words[index]
        if is_apart and text[:1] == "-" and _SECRET.match(text) and index + 1 < len(words):
            value, following = texts[index + 1], words[index + 1]
            if is_candidate(value) and value[0] != "-":
                masks.append(Mask(following.inner, following.inner_end, REDACTED, "shape"))
        elif text[:2] in {"-p", "-P"} and len(text) > 5:
            first = 2 + (text[2] == "=")
            if is_candidate(text[first:]) and (first > 2 or is_typed(text[first:]) or looks_leet(text[first:])):
                masks.append(Mask(word.inner + first, word.inner_end, REDACTED, "shape"))
