"""What a shell writes into a program that asks for a secret: `echo x | sudo -S`, `chpasswd <<EOF`, `kinit <<< x`.

A program asks if its words say so, or if nobody knows what it does with a text that looks like a secret.
"""

import re
from collections.abc import Iterator
from typing import Final

from agents.privacy.matching.gate import compiled
from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.matching.scan import Scan
from agents.privacy.rules.carriers import holds_form
from agents.privacy.rules.command_words import command_words, flattened
from agents.privacy.rules.program_names import spelled_names
from agents.privacy.rules.values import is_no_secret, looks_chosen, looks_leet, looks_secret
from agents.privacy.rules.vocabulary import PLAIN_NAMES, STRONG, kind_of_key, word_set

ASKING: Final = (
    r"(?:chpasswd|passwd|sudo\s[^|;]*-[A-Za-z]*S|sudo\s[^|;]*--stdin|su\s|docker\s+login|podman\s+login|helm\s+registry"
    r"|smbpasswd|smbclient|cryptsetup|gpg2?\s|openssl\s|kinit|vncpasswd|tigervncpasswd|sshpass|mysql_config|htpasswd|oc\s+login"
    r"|az\s+login|gh\s+auth|glab\s+auth|pass\s+insert|crane\s+auth|buildah\s+login|skopeo\s+login|nerdctl\s+login"
    r"|faas-cli\s+login|cargo\s+login|vault\s+(?:login|operator)|bw\s+(?:login|unlock)|wrangler\s|heroku\s|base64"
    r"|mkpasswd|ansible-vault|gnome-keyring-daemon|secret-tool|keyctl\s+padd|ecryptfs|pdbedit|pam_tester|kadmin|argon2"
    r"|fly(?:ctl)?\s+secrets|op\s+signin|rclone\s+obscure|step\s|age\s|zfs\s+load-key|bcachefs|mysql_secure|ssh-add"
    r"|kubectl\s+create\s+secret|docker\s+secret\s+create|podman\s+secret\s+create|[a-z_]+\s+secrets?\s+(?:put|set|create)"
    r"|[a-z\-]+\s[^|<]*--?(?:pass(?:word|wd|phrase)?|token|secret|api-?key)(?:-on)?[\-=](?:stdin|fd[\s=]|-|file[\s=]-)"
    r"|[a-z\-]+\s[^|<]*pass(?:in|out)?[\s=]stdin|[a-z\-]+\s[^|<]*-(?:pass|key)[\s=](?:stdin|fd:)"
    r"|[a-z0-9_.\-]*passw?d?[0-9a-z\-]*\s|[a-z][a-z0-9_.\-]*\s(?:[^|<;&]*\s)?(?:login|logon|signin|passwd|unlock|unseal|join)(?:\s|\z|[\"']))"
)
"""Programs that read a secret from standard input, with the words that make them do so."""

_WRITTEN: Final = compiled(
    r"(?is)((?:echo|printf)\s[^|;&>]*)>>?\s*[\"']?[^\s\"']*(?:secrets?|passwd|pgpass|netrc|htpasswd|shadow|credentials)(?:[\s\"')]|\z)"
)
"""What `echo` writes into a file of secrets. The group is the printing command."""

PIPED_GATE: Final = r"(?:echo|printf)\s[^|]*>|(?:echo|printf|yes)\s[^|]*\||<<|<\(\s*(?:echo|printf)\s"
"""What a shell writes into a program."""

_PIPED: Final = compiled(
    r"(?is)(?:\A|[\s;&|(`\"'{])((?:\\)?(?:echo|printf|yes)\s[^|]*)\|\s*(?:(?:sudo|env|docker|kubectl|podman|ssh)\s[^|;]*?)?"
    r"(?:[\w/.\-]*/)?" + ASKING
)
"""What `echo` writes into a program that reads a secret. The group is the printing command with its words."""

_ASKING_FAST: Final = compiled(
    r"(?is)(?:echo|printf|yes)\s[^|]*\|\s*(?:sudo\s[^|;]*?)?(?:[\w/.\-]*/)?" + ASKING + "|" + ASKING + r"[^|<\n]*<<",
    captures=False,
)
"""Any of the two, without groups, for long texts."""

_PIPED_ANYWHERE: Final = compiled(
    r"(?is)(?:\A|[\s;&|(`\"'{])((?:\\)?(?:echo|printf|yes)\s[^|]*)\|\s*((?:[A-Z_]+=[^\s]*\s+)*(?:sudo\s+)?[^\s|;&]+)"
)
"""What `echo` writes into any program. The groups are the printing command, and the beginning of the other."""

_SUBSTITUTED: Final = compiled(r"(?is)<\(\s*((?:echo|printf)\s[^()]*)\)")
"""A file that `echo` makes for a program. The group is the printing command."""

_HANDED: Final = compiled(r"(?is)([^\s|;&]+)(?:\s+[^\s|;&<]+)*\s*<<<\s*(?:\"([^\"]+)\"|'([^']+)'|([^\s|\"')]+))")
"""A text that the shell hands to a program. The groups are the program and the text."""

_FILTERS: Final = word_set("""
    wc grep egrep fgrep sed awk gawk tr cut sort uniq jq yq tee cat bc dc xargs md5sum sha1sum sha256sum sha512sum dd nc
    ncat socat sh bash zsh dash head tail python python3 perl ruby php node od xxd hexdump column fold rev mail at batch
    crontab read while grep tac nl less more pr paste expr figlet cowsay logger wall write patch apt-key gzip gunzip
    bzip2 xz zcat psql mysql sqlite3 redis-cli kubectl git diff
    cmp comm test iconv uconv hostname ts lolcat fmt pandoc sponge
    debconf-set-selections update-alternatives ip nft iptables-restore parallel numfmt seq shuf base64 base32 basenc
""")
"""Programs that do something with any text; what is written to them says nothing."""

_HERE_DOCUMENT: Final = compiled(r"(?is)" + ASKING + r"[^|<\n]*<<-?\s*[\"'\\]?(\w+)[\"']?[^\n]*\n")
"""The program and the word that ends the document, which begins behind the match."""

EXAMPLES: Final = {
    "ASKING": ("sudo -S", "sudo ls"),
    "PIPED_GATE": ("echo a | wc", "echo a"),
    "_PIPED": ("echo hunter2 | sudo -S ls", "echo hunter2 | wc -c"),
    "_ASKING_FAST": ("echo hunter2 | sudo -S ls", "echo hunter2 | wc -c"),
    "_PIPED_ANYWHERE": ("echo hunter2 | wc", "wc hunter2"),
    "_SUBSTITUTED": ("diff <(echo a) b", "diff a b"),
    "_HANDED": ("wc <<< a", "wc < a"),
    "_LINE": ("a", "\n"),
    "_WRITTEN": ("echo x > a.secret", "echo x > a.txt"),
    "_WORD": ("a", ":"),
    "_NAME": ("User-Password=x", "x"),
    "_HERE_DOCUMENT": ("chpasswd <<EOF\nann:hunter2\nEOF", "cat <<EOF\nx\nEOF"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""


def piped_values(scan: Scan) -> list[Mask]:
    """Masks over what a shell writes into a program that reads a secret: by a pipe or a here-document."""
    if len(scan.text) > _LONG:
        return _piped_in_long(scan)
    masks: list[Mask] = []
    text = flattened(scan.text, "'")
    if text is not scan.text:
        scan = Scan(text, text.encode())
    for ranges in _PIPED.find_all(scan.encoded, 8):
        asks_base64 = scan.text[ranges[1][1] : ranges[0][1]].endswith("base64")
        masks += _printed(scan.text, *ranges[1], only_pairs=asks_base64)
    for ranges in _PIPED_ANYWHERE.find_all(scan.encoded, 8):
        if _FILTERS.isdisjoint(_last_names(scan.text[slice(*ranges[2])])):
            masks += _printed(scan.text, *ranges[1], only_pairs=False, only_typed=True)
    for ranges in _WRITTEN.find_all(scan.encoded, 8):
        start, end = ranges[1]
        masks += [
            Mask(start + word.inner + part.start(), start + word.inner + part.end(), REDACTED, "text-form")
            for word in command_words(scan.text[start:end])
            for part in _WORD.finditer(scan.text[start + word.inner : start + word.inner_end])
            if looks_leet(part.group()) or looks_secret(part.group())
        ]
    for ranges in _SUBSTITUTED.find_all(scan.encoded, 8):
        masks += _printed(scan.text, *ranges[1], only_pairs=False, only_typed=True)
    for ranges in _HANDED.find_all(scan.encoded, 8):
        start, end = next(range_ for range_ in ranges[2:] if range_[0] >= 0)
        program = scan.text[slice(*ranges[1])]
        if looks_chosen(scan.text[start:end]) and _FILTERS.isdisjoint(_last_names(program)):
            masks.append(Mask(start + _owner_end(scan.text[start:end]), end, REDACTED, "text-form"))
    for ranges in _HERE_DOCUMENT.find_all(scan.encoded, 8):
        word = scan.text[slice(*ranges[1])]
        end = scan.text.find(f"\n{word}", ranges[0][1])
        masks += _lines(scan.text, ranges[0][1], len(scan.text) if end < 0 else end)
    return masks


def _piped_in_long(scan: Scan) -> list[Mask]:
    """The same for a long text, whose words nobody reads: all from the first such place on goes."""
    found = _ASKING_FAST.search(scan.encoded)
    if found is None or scan.text[found[0][0] :] == REDACTED:
        return []
    return [Mask(found[0][0], len(scan.text), REDACTED, "text-form")]


_LONG: Final = 4096
_MAX_LINES: Final = 64


def _last_names(words: str) -> set[str]:
    return {name for word in words.split()[-2:] for name in spelled_names(word)}


def _printed(text: str, start: int, end: int, *, only_pairs: bool, only_typed: bool = False) -> Iterator[Mask]:
    """Masks over the words that `echo` and its like print in `text[start:end]`."""
    is_format = False
    for word in command_words(text[start:end]):
        inner = text[start + word.inner : start + word.inner_end]
        if inner.lstrip("\\({").rpartition("/")[2] in _PRINTS:
            is_format = inner.endswith("printf")
            continue
        if inner[:1] == "-" or (is_format and "%" in inner) or inner.strip("()\\n;&") in {"", "echo", "printf"}:
            continue
        is_format = False
        for line in _LINE.finditer(inner):
            content = line.group(1).rstrip(")")
            begins = line.start(1)
            if _says_more(content):
                continue
            first = begins + _owner_end(content)
            words = content.split(" ")
            if (
                len(words) > 2
                and all(word.isalpha() and word.islower() for word in words[:-1])
                and looks_secret(words[-1])
            ):
                first = begins + len(content) - len(words[-1])  # `key name secret`
            first += len(inner[first:]) - len(inner[first:].lstrip(" "))
            last = begins + len(content)
            if only_typed and not looks_secret(inner[first:last]) and not looks_chosen(inner[first:last]):
                continue
            if (first > begins or not only_pairs) and not is_no_secret(inner[first:last]):
                yield Mask(start + word.inner + first, start + word.inner + last, REDACTED, "text-form")


def _says_more(line: str) -> bool:
    """Whether a printed line is not a bare secret: a name or a form in it says where the secret is."""
    if holds_form(f'"{line}"'):
        return True
    return any(
        (joint != ":" and name.lower() in PLAIN_NAMES) or kind_of_key(name) in STRONG
        for name, joint in _NAME.findall(line)[:_MAX_LINES]
    )


_WORD: Final = re.compile(r"[^\s:]+")
"""A word of a line in a file of secrets."""

_NAME: Final = re.compile(r"([A-Za-z][\w.\-]*)( ?=|: |:)(?=[^\s=:])")
"""A name and what joins it to a value; `user:secret` is a pair instead."""


def _owner_end(text: str) -> int:
    """The end of `user:` at the beginning of `text`, or 0."""
    user, colon, secret = text.partition(":")
    is_pair = colon and secret and user.replace(".", "").replace("-", "").isidentifier()
    return len(user) + 1 if is_pair else 0


_LINE: Final = re.compile(r"(?:\A|\\n|\n)((?:(?!\\n)[^\n])+)")
"""One line of what is printed, where a line ends at a break or at `\\n`."""

_PRINTS: Final = frozenset({"echo", "printf", "yes"})


def _lines(text: str, start: int, end: int) -> Iterator[Mask]:
    """Masks over the lines of a here-document: what follows the user, or the whole line."""
    for _ in range(_MAX_LINES):
        if start >= end:
            return
        line_end = text.find("\n", start, end)
        line_end = end if line_end < 0 else line_end
        line = text[start:line_end]
        user, colon, secret = line.partition(":")
        first = start + len(user) + 1 if colon and user.strip().replace("-", "_").isidentifier() and secret else start
        if not is_no_secret(text[first:line_end].strip()):
            yield Mask(first, line_end, REDACTED, "text-form")
        start = line_end + 1
