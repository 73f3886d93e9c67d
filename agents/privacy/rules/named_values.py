"""Named values: `--password x`, `PGPASSWORD=x`, `"api_key": "x"`, `-Dkey.password=x`, `Authorization: Bearer x`.

`named_patterns` finds a name that holds a word of secrets, together with what joins it to a value. The vocabulary then
says what the name announces, and `value_ranges` where the value ends. A name before `=` or `:` announces its value. An
option announces the next argument, unless that is an option itself. A bare word announces the next one only if its last
word is the secret's (`requirepass x`, `dd_password x`) and no text tool is searching for it.
"""

import re
from typing import Final

from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.matching.scan import Scan
from agents.privacy.rules.announced_values import announced_secret
from agents.privacy.rules.command_words import flattened
from agents.privacy.rules.name_context import (
    LONGEST_REMEMBERED,
    NAME_CHARACTERS,
    NAMES,
    TEXT_TOOLS,
    Name,
    in_command,
    is_no_name,
    name_of,
)
from agents.privacy.rules.named_patterns import BARE, HERE, IDENTIFIED, NAMED, REVERSED, UNQUOTED_TALK
from agents.privacy.rules.value_ranges import ValueRange, cookie_values, enclosing, quoted, value_at, word_end
from agents.privacy.rules.values import (
    is_no_secret,
    is_place,
    looks_secret,
    looks_secret_word,
    looks_typed,
)
from agents.privacy.rules.vocabulary import (
    AUTHORIZATION,
    COOKIE,
    KEY,
    NONE,
    PASSWORD,
    STRONG,
    WEAK,
    KeyKind,
    kind_of_key,
    name_parts,
    word_set,
)

_OPENING: Final = "\"'`"
_QUOTES: Final = "\"'"
_NO_BEGINNING: Final = "=<>&|;:([{}%-"
_HEADERS: Final = (AUTHORIZATION, COOKIE)
"""Tuples, because a set asks an enum's member for its hash, which Python computes in Python."""
_LONGEST_LITERAL: Final = 256
_SCHEMES: Final = word_set("""
    basic bearer digest token apikey negotiate ntlm aws4-hmac-sha256 oauth hawk hmac jwt ssws sso-key
    googlelogin key splunk genie snyk authbearer sharedaccesssignature api-key apitoken pveapitoken
""")
_COMMON_WORDS: Final = word_set("token secret credentials")  # what follows must look like a secret, or be a number
_NOT_A_VALUE: Final = word_set("""
    is was are for and or in of to from on at with the a an reset change prompt policy required expired file
    must should will can has not field hash storage manager store using by via as if then else
    create delete list show get generate add remove update rotate status help reset
""")


def custom_name_pattern(name: str) -> str:
    """The pattern of a further name that announces a secret, its value the group; `*` is any part of a name."""
    word = "".join(_CUSTOM.get(character, character) for character in name)
    return rf"{word}[\"'`\])}}]*(?:\s*[=:]\s*|\s+)(?:\"([^\"]+)\"?|'([^']+)'?|([^\s\"']+))"


_CUSTOM: Final = {**dict.fromkeys("-. ", "[_\\-. ]?"), "*": "[a-z0-9_.\\-]*"}
"""What characters of a further name stand for, besides themselves."""


def named_values(scan: Scan, program: str) -> list[Mask]:
    """Masks over values that a name announces; `program` is the basename of the binary, empty where unknown."""
    masks: list[Mask] = []
    text = scan.text
    covered = 0
    for start, end in scan.matches(NAMED):
        if end < covered and text[end] not in _OPENING:  # a quote inside could reach further than the value around it
            continue
        found = text[start:end]
        name = NAMES[found] if len(found) <= LONGEST_REMEMBERED else name_of(found)
        if name.kind is NONE or is_no_name(text, start, name, end, program):
            continue
        mask = _assigned(text, start, name, end) if name.is_assigned else _spaced(text, start, name, end, program)
        if mask is None or _is_id_of_key(text, name.key, mask):
            continue
        masks += _pairs_of(text, mask) if name.kind is COOKIE else [mask]
        covered = mask.end
    return masks


def _is_id_of_key(text: str, key: str, mask: Mask) -> bool:
    """Whether `access_key=ann` is the name of the secret key that stands beside it."""
    letters = "".join(filter(str.isalnum, key)).lower().removesuffix("id")
    if not letters.endswith(("accesskey", "consumerkey", "apikey")) or "secret" in letters:
        return False
    value = text[mask.start : mask.end]
    return _ACCOUNT.match(value) is not None and not looks_secret(value) and _SECRET_KEY.search(text) is not None


_SECRET_KEY: Final = re.compile(
    r"(?i)secret[_\-]?(?:access[_\-]?)?key|access[_\-]?key[_\-]?secret|(?:consumer|api)[_\-]?secret"
)
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_.:\-]{1,16}\Z")


def _pairs_of(text: str, mask: Mask) -> list[Mask]:
    """Masks over the values of a cookie header, whose names and settings stay."""
    return [
        mask._replace(start=mask.start + start, end=mask.start + end)
        for start, end in cookie_values(text[mask.start : mask.end])
    ]


def reversed_values(scan: Scan) -> list[Mask]:
    """Masks over literals that are compared with a name: `"x" == db_password`, `[ "x" == "$ADMIN_PASSWORD" ]`."""
    masks = []
    text = scan.text
    for start, end in scan.groups(REVERSED):
        opening = text.rfind(text[start], max(0, start - _LONGEST_LITERAL), start)
        name = text[end : end + _LONGEST_LITERAL].lstrip(" !=\"'`${")
        key = name[: len(name) - len(name.lstrip(NAME_CHARACTERS))]
        if opening < 0 or kind_of_key(key) not in STRONG:
            continue
        if not is_no_secret(text[opening + 1 : start]):
            masks.append(Mask(opening + 1, start, REDACTED, "assignment"))
    return masks


def identified_values(scan: Scan) -> list[Mask]:
    """Masks over passwords in SQL's `IDENTIFIED BY 'x'` and its like, and of what is piped into a program that asks."""
    masks: list[Mask] = []
    for _, end in scan.matches(IDENTIFIED):
        bounds = value_at(scan.text, end, end, assigned=False, whole_line=False)
        if bounds.end > bounds.start:
            masks.append(Mask(*bounds, REDACTED, "assignment"))
    text = flattened(scan.text, "'")
    here = scan if text is scan.text else Scan(text, text.encode())
    for start, end in here.groups(HERE):
        user, colon, password = scan.text[start:end].partition(":")
        first = end - len(password) if colon and user.isidentifier() else start
        if not is_no_secret(scan.text[first:end]):
            masks.append(Mask(first, end, REDACTED, "assignment"))
    return masks


def _assigned(text: str, start: int, name: Name, end: int) -> Mask | None:
    """The value behind `=`, `:` and their like."""
    key, joint, kind, _ = name
    if joint != "=":
        if joint.endswith("::") or (joint.rstrip().endswith(":") and text.startswith("//", end)):
            return None
        if joint.strip("\"'`\\)]} \n\t") in {",", "(", ">"} and not _is_call_or_element(text, start, key, joint, end):
            return None
        if kind is WEAK:
            kind = _kind_in_context(text, start, key)
    if _ends_argument(text, start, end):
        return None
    if joint == ":" and kind is KEY and _is_name_of_thing(text, start, end):
        return None
    if text.startswith(('@"', "@'"), end):  # a literal of Objective-C
        end += 1
    if kind in _HEADERS:
        return _header(text, start, end, kind, joint)
    spaced_colon = ":" in joint and end > start + len(key) + 1 and joint.endswith((" ", "\n"))
    whole_line = spaced_colon and _begins_line(text, start)
    if ">" in joint and (closing := text.find("</", end, end + _LONGEST_LITERAL)) > end:
        return announced_secret(text, ValueRange(end, closing), key, kind, "assignment")
    bounds = value_at(text, start, end, assigned=True, whole_line=whole_line)
    return announced_secret(text, bounds, key, kind, "option" if key.startswith("-") else "assignment")


def _is_name_of_thing(text: str, start: int, end: int) -> bool:
    """Whether `token:count` is a name behind a command that reads, or a task: `credentials:show`."""
    word = text[end : word_end(text, end, len(text))].rstrip("\"')")
    before = text[max(0, start - 24) : start].split()[-1:]
    return word in _TASKS or (word.isalpha() and word.islower() and bool(before) and before[0].lower() in _READERS)


_TASKS: Final = word_set("show edit list create delete set get add remove rotate count")
_READERS: Final = word_set("get keys del exists ttl type hget hgetall mget --pattern show list")


def _ends_argument(text: str, start: int, end: int) -> bool:
    """Whether the quote at `end` closes the argument that the name stands in, so that there is no value."""
    if end >= len(text) or text[end] not in _QUOTES or text[end + 1 : end + 2].strip(" )|;&,\n"):
        return False
    inside = enclosing(text, start)
    if inside is not None and inside.end == end:
        return True
    return start > 0 and text[start - 1] == text[end] and " " not in text[start:end].strip()


def _kind_in_context(text: str, start: int, key: str) -> KeyKind:
    """What the weak `key` announces with the word before it, if the name is spelled with spaces: `API key: x`."""
    if start > 1 and text[start - 1] == " " and key[0] != "-":
        before = text[max(0, start - 24) : start - 1].rpartition(" ")[2]
        together = kind_of_key(f"{before}_{key}") if before else NONE
        if together is not NONE:
            return together
    return WEAK


def _is_call_or_element(text: str, start: int, key: str, joint: str, end: int) -> bool:
    """Whether `,`, `(` and `>` join a name to a value: `set("password", "x")`, `Password("x")`, `<password>x`."""
    if ">" in joint:
        opens = start > 0 and text[start - 1] == "<" and not text[max(0, start - 2)].isalnum()  # `f<Pass>` does not
        return opens and _is_element(text, end)
    if "," in joint and text[end : end + 2].lstrip("\"'`")[:1] == "-":  # another option
        return False
    if key[:2] == "--" and joint.strip() == ",":  # a list in YAML
        return True
    if key[0] != "-" and _IN_LIST.search(text, max(0, start - 48), start) is not None:
        return False
    if "," in joint and key[0] != "-" and _LISTED_VERB.match(text, end) is not None:
        return False
    if end + 1 < len(text) and text[end] == "\\":
        end += 1
    if end >= len(text) or text[end] not in "\"'`" or not ("(" in joint or joint[0] in "\"'`\\"):
        return False
    behind = text[quoted(text, end).end + 1 :][:4].lstrip("\\ \"'")
    return not behind.startswith(":") and not ("(" in joint and behind.startswith(","))  # the next name, a login's user


_LISTED_VERB: Final = re.compile(
    r"\\?[\"'](?:set|put|get|create|add|list|show|delete|remove|update|write|read|login)\\?[\"']"
)
"""A verb in a list of a command's words, rather than a value: `["secret", "set"`."""

_IN_LIST: Final = re.compile(r"[\"']-[\w\-]+\\?[\"'],\s*\\?[\"']\Z")
"""What stands before the value of an option in a list: `["--auth", "`."""


def _is_element(text: str, start: int) -> bool:
    """Whether an element's content begins at `start`, rather than a placeholder having ended there."""
    end = word_end(text, start, len(text))
    closed = text.find("</", start, start + _LONGEST_LITERAL) >= 0
    return closed or (end == len(text) and end > start and text[start - 1] == ">")


def _header(text: str, start: int, end: int, kind: KeyKind, joint: str) -> Mask | None:
    """The value of a header that holds credentials; an authorization scheme stays readable."""
    spaced = joint.endswith(" ")
    if end < len(text) and text[end] in "\"'`":
        bounds = value_at(text, start, end, assigned=True, whole_line=False)
        inside = True
    else:
        inside = enclosing(text, start) is not None
        schemed = text[end : word_end(text, end, len(text))].lower() in _SCHEMES
        bounds = value_at(text, start, end, assigned=True, whole_line=spaced or inside or schemed)
    if kind is AUTHORIZATION:
        scheme_end = word_end(text, bounds.start, bounds.end)
        if text[bounds.start : scheme_end].lower() in _SCHEMES and scheme_end < bounds.end:
            first = scheme_end + 1
            last = bounds.end if inside else word_end(text, first, bounds.end)
            if text.startswith(("Digest", "digest", "AWS4", "OAuth", "Hawk"), bounds.start):
                last = bounds.end
            bounds = ValueRange(first, last)
        elif spaced and not inside:
            bounds = ValueRange(bounds.start, scheme_end)
    if bounds.end <= bounds.start or is_no_secret(text[bounds.start : bounds.end]):
        return None
    return Mask(*bounds, REDACTED, "header")


def _spaced(text: str, start: int, name: Name, end: int, program: str) -> Mask | None:
    """The value behind a space: the argument after an option, or after a word that announces by its last word."""
    key, kind = name.key, name.kind
    if end >= len(text):
        return None
    option = key[0] == "-" or (start > 0 and text[start - 1] in "-/+" and _begins_argument(text, start - 1))
    if option and not _begins_argument(text, start if key[0] == "-" else start - 1):
        return None
    if text[end] == "-" and text[end + 1 : end + 2].isalpha() | text.startswith("--", end):
        return None
    if option and _ATTACHED.match(key) is not None:
        return None
    if not option:
        strong = kind in STRONG and text[start + len(key)] not in "-."
        return _bare(text, start, name, end, program) if strong else None
    bounds = value_at(text, start, end, assigned=False, whole_line=False)
    if kind in _HEADERS:
        kind = KEY
    if _names_a_secret(text[bounds.start : bounds.end]):
        following = text[bounds.end : bounds.end + 96].split(" ")
        if len(following) > 1 and (following[1].startswith(REDACTED) or looks_secret_word(following[1])):
            start_of_next = bounds.end + 1  # `--secret name value`
            bounds = value_at(text, start, start_of_next, assigned=False, whole_line=False)
    return announced_secret(text, bounds, key, kind, "option")


def _names_a_secret(value: str) -> bool:
    """Whether a value is the name of a secret: words of letters of which one announces, as `dbPassword`."""
    return len(name_parts(value)) > 1 and value.replace("_", "").isalpha() and kind_of_key(value) in STRONG


def _bare(text: str, start: int, name: Name, end: int, program: str) -> Mask | None:
    """The value at `end` of a bare word, if its last word is the secret's and no text tool looks for it."""
    key = name.key
    if (program in TEXT_TOOLS and " -exec" not in text[:start]) or not BARE.is_whole(encoded := key.encode()):
        return None
    if _is_value_itself(text, start):
        return None
    is_literal = text[end] in _QUOTES
    if not is_literal and (UNQUOTED_TALK.is_whole(encoded) or text[end] in _NO_BEGINNING):
        return None
    bounds = _inside_brackets(text, value_at(text, start, end, assigned=False, whole_line=False))
    announced = is_literal and name.kind is PASSWORD  # SQL: PASSWORD 'x'
    if not announced and not _bare_announces(text, start, key, text[bounds.start : bounds.end]):
        return None
    return announced_secret(text, bounds, key, PASSWORD, "positional")


def _is_value_itself(text: str, start: int) -> bool:
    """Whether the word at `start` is the value of an option: `-p testpassword host`, `--passwd="password" "x"`."""
    before = text[max(0, start - 48) : start]
    if before[-2:] in {'="', "='"}:
        return True
    option = before.rstrip("\"'").removesuffix(" ").rpartition(" ")[2]
    if before[-1:] not in {" ", '"', "'"} or option[:1] != "-":
        return False
    return option[1:] in {"p", "P", "w", "W", "k"} or (
        len(option) > 2 and "=" not in option and kind_of_key(option) in STRONG
    )


_ATTACHED: Final = re.compile(r"-[A-Za-z][a-z0-9]*\.[A-Z][a-z]+[0-9]+\Z")
"""A secret attached to a letter: `-pmy.Pass43`."""

_READS: Final = word_set("get show list generate find copy delete remove rm describe print cp mv")
"""Verbs behind which `password` is what is read."""

_DECLARES: Final = re.compile(r"(?i)(?:\bENV|\bset|\bsetenv|\bexport|\barg)\s+\Z")


def _follows_secret(text: str, end: int) -> bool:
    """Whether the second word behind a name is the secret, and the first one a user: `password ann hunter2`."""
    for word in text[end : end + 96].split()[1:4]:
        if word[0] in "-|;&>":
            return False
        if word.startswith((REDACTED, '"', "'")) or looks_secret_word(word):
            return True
    return False


def _inside_brackets(text: str, bounds: ValueRange) -> ValueRange:
    """A value without the end of the substitution that it stands in: `X=$(redis-cli config set requirepass x)`."""
    value = text[bounds.start : bounds.end]
    inner = value.rstrip("'\"")
    if not looks_typed(bracketed := inner.rstrip(");`'\"")) or "(" in bracketed:
        return ValueRange(bounds.start, bounds.start + len(inner))
    inner = bracketed
    return ValueRange(bounds.start, bounds.start + len(inner))


def _bare_announces(text: str, start: int, key: str, value: str) -> bool:
    """Whether the bare word `key` at `start` is a name with this value."""
    if value.lower() in _NOT_A_VALUE or is_place(value) or value[:1] in _NO_BEGINNING or value[-1:] in "):":
        return False
    lower = key.lower()
    is_number = value.isdigit() and len(value) > 3
    if lower in _COMMON_WORDS and not (value.isalnum() and (is_number or looks_secret(value))):
        return False
    is_word = value.isalpha() and value.islower()
    if (is_word and key.isupper() and "_" in key) or (
        not looks_secret_word(value) and _follows_secret(text, start + len(key))
    ):
        return _DECLARES.search(text, max(0, start - 12), start) is not None
    plain = "_" not in key and "." not in key and lower not in {"password", "passphrase", "requirepass", "masterauth"}
    if plain and value.islower() and not any(map(str.isdigit, value)):
        return False
    if start and text[start - 1] == ",":
        return False
    before = in_command(text[max(0, start - 96) : start]).split()
    if before and before[-1].lower() in _READS:
        return False
    return TEXT_TOOLS.isdisjoint(word.rsplit("/", 1)[-1].lstrip("\"'(") for word in before)


def _begins_argument(text: str, position: int) -> bool:
    return position == 0 or text[position - 1] in " \n\"'`=(,["


def _begins_line(text: str, position: int) -> bool:
    """Whether nothing but indentation, a list mark or an opening quote stands before `position` on its line."""
    line = text[max(text.rfind("\n", 0, position) + 1, position - 64) : position]
    inside = enclosing(text, position)
    if inside is not None and not text[inside.start : position].strip(" -"):
        return True
    return not line.strip(" -\"'")
