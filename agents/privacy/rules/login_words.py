"""Words of a command that nobody knows: what runs it, and whether a word could be a secret, or looks like one."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from agents.privacy.matching.gate import Pattern
from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.matching.scan import Scan
from agents.privacy.rules.command_words import CommandsRead, CommandWord, commands_in
from agents.privacy.rules.program_names import SHELLS, WRAPPERS, spelled_names
from agents.privacy.rules.values import entropy, is_no_secret, is_place, looks_secret, looks_typed
from agents.privacy.rules.vocabulary import word_set

_FILE: Final = re.compile(r"[\w.\-]*\.[a-z][a-z0-9]{0,4}\Z|.*[*?].+\Z|.*\*\Z")
_MIXED_STEM: Final = re.compile(
    r"(?=.*[0-9].*\.)[^.]*[a-z0-9][A-Z][^.]*\.\w+\Z|[^.]*[a-z][0-9]+[a-z]{2}[^.]*\.[A-Z]\w*\Z"
)
_EXTENSIONS: Final = word_set("""
    txt md log csv tsv json yml yaml xml html css js ts py rb pl php sh c h cc cpp hpp rs go java kt swift sql db
    conf cfg ini toml env pem crt key cer csr p12 pfx jks gz bz2 xz zst zip tar tgz deb rpm apk iso img bin exe dll
    so o a jar war pdf ps eps svg png jpg jpeg gif tif tiff bmp wav mp3 mp4 mkv avi mov flac ogg webm pcap cap lst
    list dat data bak tmp out in tex doc docx xls xlsx odt ods ppt pptx class lua el vim r m ipynb parquet sqlite
    torrent srt mod
""")
_REDIRECTED: Final = re.compile(r"[0-9&]*[<>]")
_PORT: Final = re.compile(r"(?:[\w.\-]+:){1,2}\d{2,5}\Z")
_HOST: Final = re.compile(
    r"(?:[a-z0-9\-]+\.)+[a-z][a-z0-9\-]+(?::\d+)?\Z|(?:[A-Z0-9\-]+\.)+[A-Z][A-Z0-9\-]+(?::\d+)?\Z|[\w\-]+:\d+\Z"
)
NUMBER: Final = re.compile(r"[\d.,:x/\-]+[smhdkKMGTB%]?\Z")

EXAMPLES: Final = {
    "_FILE": ("up.txt", "hunter2"),
    "_MIXED_STEM": ("myCl1.rot", "my.rot"),
    "_REDIRECTED": ("2>&1", "x>y"),
    "_PORT": ("ssl:host:1666", "hunter2"),
    "_HOST": ("db.example.org", "hunter2"),
    "NUMBER": ("8080", "hunter2"),
    "_CODE": ("a(b)", "hunter-2x"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

NOT_CANDIDATES: Final = word_set("""
    is was are has have will can for and or in of to from on at with the a an by via as if then else that this it be
    been not no policy expired required file list show status help
    true false yes no on off enable disable get add del delete
    remove rm create update set unset reset change info version all none default root admin user users group
    imap imaps smtp smtps pop3 pop3s lmtp sieve ldap ldaps http https ftp ssh nntp tcp udp tls ssl
    account token login logout name key keys type mode local remote global system service server client interactive
""")


def program_commands(
    scan: Scan, program: str, excluded: frozenset[str], announcing: Pattern, masks: list[Mask], *, enters: bool = False
) -> Iterator[tuple[list[CommandWord], set[str]]]:
    """The words of each command that no program of `excluded` runs, and the names of its program behind wrappers.

    What lies beyond the reader's limit goes from the first place on that matches `announcing`. With `enters` a program
    that runs another in a container is none of `excluded` then.
    """
    own = set(spelled_names(program))
    if enters and not own.isdisjoint(_CONTAINERS) and scan.text.startswith(_ENTERS):
        own = set()
    literal = bool(program) and program not in SHELLS
    read = scan.read.get(literal)
    if not isinstance(read, CommandsRead):
        read = scan.read[literal] = commands_in(scan, literal=literal)
    if read.stopped < len(scan.text) and (beyond := announcing.search(scan.encoded, read.stopped)) is not None:
        start = beyond[0][0] + (beyond[0][0] > read.stopped)
        if scan.text[start:] != REDACTED:
            masks.append(Mask(start, len(scan.text), REDACTED, "shape"))
    for number, words in enumerate(read.commands):
        names = own if number == 0 and own and own.isdisjoint(WRAPPERS) else _program_of(scan, words)
        if names.isdisjoint(excluded):
            yield words, names


_CONTAINERS: Final = word_set("docker podman nerdctl kubectl oc crictl lxc docker-compose")
_ENTERS: Final = ("exec ", "run ")


def _program_of(scan: Scan, words: Sequence[CommandWord]) -> set[str]:
    """Names of the first word that is neither a wrapper nor an option nor an assignment."""
    for word in words:
        text = inner_text(scan, word)
        names = set(spelled_names(text))
        if text[:1] != "-" and "=" not in text and names.isdisjoint(WRAPPERS) and not text[:1].isdigit():
            return names
    return set()


def inner_text(scan: Scan, word: CommandWord) -> str:
    """A word without its quotes."""
    return scan.text[word.inner : word.inner_end]


def is_candidate(value: str) -> bool:
    """Whether `value` could be a secret at all: no switch, number, place, file or address."""
    if " " in value:
        return value.count(" ") < MAX_SPACES and is_phrase(value)
    if len(value) < 3 or is_no_secret(value) or is_place(value) or "=" in value[1:-2]:
        return False
    if any(quote in value[1:-1] for quote in "'\"") or _PORT.match(value):
        return False
    if (
        value.lower() in NOT_CANDIDATES
        or value[-1] in ".,:;"
        or _REDIRECTED.match(value)
        or value[0] in "<>{[(|&;$%+"
        or ("/" in value and value.count("/") > 1)
    ):
        return False
    return (NUMBER.match(value) is None or (len(value) >= 6 and value.isdigit())) and not (
        (_FILE.match(value) and not _is_mixed(value)) or _HOST.match(value)
    )


def _is_mixed(value: str) -> bool:
    """Whether what reads as a file's name has a digit and a capital inside and no known ending: `myCl1.rot`."""
    return _MIXED_STEM.match(value) is not None and value.rpartition(".")[2].lower() not in _EXTENSIONS


def is_phrase(value: str) -> bool:
    """Whether words in quotes look like a passphrase: letters and digits in one word, and no sign of a sentence."""
    if not value.replace(" ", "").replace("-", "").isalnum() and not value[:-1].replace(" ", "").isalnum():
        return False
    return any(not word.isalpha() and not word.isdigit() and len(word) > 1 for word in value.split())


MAX_SPACES: Final = 4


def is_typed(value: str) -> bool:
    """Whether `value` looks like a password or a token, rather than a name with a number."""
    if " " in value:
        return value.count(" ") < MAX_SPACES and is_phrase(value)
    if not is_candidate(value) or (value.count("-") > 2 and "." in value):
        return False
    if looks_secret(value) or any(character in "!#$%^&*?" for character in value):
        return True
    has_digit, has_upper = any(map(str.isdigit, value)), any(map(str.isupper, value))
    has_lower = any(map(str.islower, value))
    if len(value) >= 6 and has_digit and has_upper and has_lower:
        return looks_typed(value)
    return len(value) >= 24 and has_digit and value.isalnum()


_SHORTEST_RANDOM: Final = 20


def is_random(value: str) -> bool:
    """Whether `value` is letters of both cases and digits in no order, as tokens are."""
    if not (_SHORTEST_RANDOM <= len(value) <= 128) or not value.replace("_", "").replace("-", "").isalnum():
        return False
    digits = sum(map(str.isdigit, value))
    return digits > 2 and any(map(str.isupper, value)) and any(map(str.islower, value)) and entropy(value) > 3.8


def is_code(value: str) -> bool:
    """Whether `value` has the signs of a pattern, a field list or a name with a version."""
    if (
        len(set(value) & _SPECIAL) > 2
        and not set(value) & _BRACKETS
        and value != value.lower()
        and value[0] not in "^%+"
    ):
        return False  # so many kinds of characters are a generated password
    return value[:1] in "^%@+*." or value[-1] in "*%" or _CODE.match(value) is not None


_SPECIAL: Final = frozenset("!#$%&*<>?@^~=+")
_BRACKETS: Final = frozenset("()[]{}|/\\ ")

_CODE: Final = re.compile(
    r".*[()\[\]{}<>|,;/\\].*|.*\$[A-Za-z_]|[a-z]+(?:[-_][a-z]+)*[-_.]?v?\d+(?:\.\d+)*\Z|[A-Z]?[a-z]+[A-Z]\w*=.*"
    r"|[a-z]+\d{0,3}(?:[-_+][a-z]+\d{0,3})*(?:[:=][a-z0-9]+)?\Z"
)
