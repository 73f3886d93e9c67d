"""Secrets that a protocol, a language or a file's format gives away.

Redis, FTP, SQL, password files (`.pgpass`, curl's and named's configuration, docker's `auths`), `expect` scripts,
addresses of databases, hashes. Each form is a pattern whose group is the secret, or a phrase behind which this module
reads on.
"""

import re
from collections.abc import Iterator
from typing import Final

from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.matching.scan import Scan, grouped
from agents.privacy.rules.command_words import flattened
from agents.privacy.rules.values import is_no_secret
from agents.privacy.rules.vocabulary import STRONG, kind_of_key

_FORMS: Final = (
    # curl's configuration: user = "ann:secret"
    r"(?i:\b(?:proxy-)?user\s*=\s*[\"'][^\"':\s]+:([^\"']+)[\"'])",
    # PostgreSQL's password file: host:port:database:user:secret
    r"(?:\A|[\s\"'])[\w.*\-]+:(?:\d{3,5}|\*):[\w.*\-]+:[\w.*\-]+:([^\s:\"'`)/]+)(?:[\s\"'`)]|\z)",
    # docker's credentials: {"auths": {"registry": {"auth": "..."}}}
    r"(?i:auths\b[^\n]*[\"']auth[\"']\s*:\s*[\"']([^\"']+))",
    # Redis: *2 $4 AUTH $9 secret, with or without a user
    r"(?i:\$4[\r\n]+auth[\r\n]+\$\d+[\r\n]+[^\r\n]+[\r\n]+\$\d+[\r\n]+([^\r\n]+))",
    r"(?i:\$4[\r\n]+auth[\r\n]+\$\d+[\r\n]+([^\r\n]+))",
    # FTP and POP3
    r"(?:\A|\n)PASS ([^\r\n]+)\r?\n",
    # rndc and named: secret "...";
    r"(?i:\b(?:secret|rootpw|bindpw)\s+[\"']?([^\s\"';]+)[\"']?;)",
    # ldap, openldap, snmpd
    r"(?i:(?:\A|\s)(?:bindpw|rootpw|rootbindpw|r[ow]community6?|olcRootPW:|userPassword::?)\s+[\"']?([^\s\"']+))",
    # SQL
    r"(?i:\bsecret\s+'([^']+)')",
    r"(?i:\b(?:crypt|password|old_password|authentication_string)\(\s*'([^']+)')",
    r"(?i:\b(?:pgp_sym_\w+|aes_\w+|(?:en|de)crypt\w*|hmac)\([^()]*,\s*'([^']+)')",
    # Python: a pair behind auth=
    r"(?i:\bauth\s*=\s*\(\s*[\"'][^\"']*[\"']\s*,\s*[\"']([^\"']+))",
    # an address without scheme and user: :secret@host:6379
    r"(?:\A|[\s\"'=,(]):([^\s:@/\"'`]+)@[\w.\-]+:\d+",
    # expect: a prompt for a password, and what is sent
    r"(?i:ass(?:word|wd|phrase|code)?[^\s]*\s*;?\s*\{?\s*(?:exp_)?send\s+(?:--\s+)?\\?[\"']?([^\s\"'\\;}]+))",
    # calls of frameworks that take a password last, or first
    (
        r"(?i:(?:create_?(?:super)?user|(?:set|make|change|hash|check)_?password|[a-z_]*password_hash|bcrypt\.hash\w*)"
        r"\((?:[^()]*,\s*)?b?[\"']([^\"']+)[\"']\s*[,)])"
    ),
    # a script for ftp: user ann secret
    r"(?:(?:\n|\\n|[\"';])\s*user[ \t]+[^\s\-=]\S*[ \t]+([^\s\\\"';\-][^\s\\\"';]*)\s*(?:\n|\\n|[\"';]))",
    # CVS: :pserver:ann:secret@host
    r"(?i::(?:pserver|ext|gserver|kserver|sspi):[^\s:@]+:([^\s@]+)@)",
    # a chat with a modem: ogin: ann word: secret
    r"(?i:ogin:[\s\-]+\S+\s+\S*word:[\s\-]+(?:\"([^\"]+)\"|'([^']+)'|([^\s\"']+)))",
    # ZooKeeper's shell
    r"(?i:\baddauth\s+digest\s+[^\s:]+:([^\s\"']+))",
    # Composer's configuration, Db2's connect
    r"(?i:\bhttp-basic\.\S+\s+\S+\s+[\"']?([^\s\"']+))",
    r"(?i:\b(?:[a-z]+-oauth|[a-z]+-token|bearer)\.[\w.\-]+\s+[\"']?([^\s\"']+))",
    r"(?i:\suser\s+\S+\s+using\s+(?:\"([^\"]+)\"|'([^']+)'|([^\s\"']+)))",
    r"(?i:\bproxyauth=[^\s:,]+:([^\",]+))",
    # a channel of conda: /t/token/
    r"(?:anaconda\.org|/conda|repo[\w.]*)/t/([\w\-]+)/",
    # a command that prints the password: --password-command "echo x", PASSWORD=$(echo x)
    (
        r"(?i:(?:pass|secret|token)[a-z_\-]*[\"',=\s]+(?:\$\(|`)?(?:/usr)?(?:/bin/)?(?:echo|printf)\s+"
        r"(?:-[neE]+\s+)?(?:%s\s+)?[\"']?([^\"'`\n|)]+))"
    ),
    # an access point as a QR code has it
    r"(?:WIFI:[^\n\"']*;P:((?:[^;\n\\]|\\.)+);)",
    # SQLCipher: PRAGMA key = 'x', with or without x'...'
    r"(?i:\bpragma\s+(?:hex|re)*key\s*=\s*\\?[\"']?x?\\?[\"']([^\"'\\]+))",
    # Go's address of a database: user:secret@tcp(host)
    r"(?:\b[\w.\-]+:([^\s:@/\"']+)@(?:tcp|unix|tcp6)?\()",
    # Percona's address of a database: h=host,u=user,p=secret
    r"(?:\b[hDtPSuA]=[^\s,\"']*,(?:[A-Za-z]=[^\s,\"']*,)*p=([^\s,\"']+))",
    # fetchmail: user ann there with password 'x'
    r"(?i:\buser\s+[^\n]{1,80}\spass(?:word)?\s+[\"']([^\"'\n]+)[\"'])",
    # hashes of Windows, of two kinds
    r"(?:(?:\A|[\s\"'=:/])((?:[0-9a-fA-F]{32})?:[0-9a-fA-F]{32})(?:[\s\"':@]|\z))",
    # a cipher and its key: xfrm's, MACsec's, tcpdump's, dar's
    r"(?i:\b(?:enc|auth|auth-trunc|aead)[\s\"',]+[\w\-]+(?:\([\w\-(),]+\))?[\s\"',]+(0x[0-9a-f]{8,}))",
    r"(?i:\bkey[\s\"',]+[0-9]{1,2}[\s\"',]+([0-9a-f]{16,}))",
    (
        r"(?i:(?:\A|[\s\"'=])(?:aes(?:-?[0-9]{3})?|3?des|blowfish|camellia(?:-?[0-9]{3})?|twofish|serpent|cast128|rc4)"
        r"(?:-(?:cbc|gcm|ctr))?(?:-hmac[0-9]*)?:([^\s\"',:!+@\-][^\s\"',:]*))"
    ),
    # Oracle's and Teradata's logons: userid=ann/secret@db, .logon host/ann,secret
    r"(?i:\buserid=[\"']?[^\s/\"']+/([^\s@\"']+))",
    r"(?i:\blogon\s+[^\s/,]+/[^\s,]+,([^\s;\"']+))",
    # options of a mount: user=ann:secret, username=ann%secret
    r"(?i:(?:\A|[\s,\"'])user(?:name)?=[a-z_][\w.@\\\-]*[:%]([^\s,\"'/]+))",
    # a key of a wireless network: key 0:secret, keys d:0:secret, key s:secret
    r"(?i:\bkeys?\s+(?:d:)?(?:[0-3]|s):([^\s\"',]+))",
    # PostgreSQL's message with the password: a letter, a length, the password
    r"(?:\Ap\n{2,3}([^\n]+)\n?\z)",
    # a user of Redis: ACL SETUSER ann on >secret
    r"(?i:\bsetuser[\s\"',]+[^\n]*?[\s\"',][><]([^\s\"',]+))",
    # an operator of a chat and its users
    r"(?i:(?:/oper\s+\S+|nickserv\s+identify(?:\s+\w+)?)\s+([^\s\"']+))",
    # the key of a stream
    r"(?:\brtmps?://[^\s/\"']+/[^\s/\"']+/([\w\-]{16,}))",
    # Windows' and lego's: hmac-sha256:name:secret
    r"(?i:\bhmac-\w+:[\w.\-]+:([\w+/=]+))",
)
"""Forms of other formats. The group is the secret."""

CARRIED_GATE: Final = (
    r"\buser\s*=\s*[\"']|:(?:[0-9]+|\*):[a-z0-9_.*\-]+:|auths\b"
    r"|\$4[\r\n]+auth[\r\n]|(?:\A|\n)PASS\s|\b(?:secret|rootpw|bindpw)\s+[\"']?[^\s\"';]+[\"']?;"
    r"|(?:bindpw|rootpw|rootbindpw|r[ow]community6?|olcrootpw:|userpassword::?)\s|\bsecret\s+'"
    r"|\b(?:crypt|password|old_password|authentication_string)\(\s*'"
    r"|(?:pgp_sym_[a-z_]+|aes_[a-z_]+|(?:en|de)crypt[a-z_]*|hmac)\(|\bauth\s*=\s*\(|[\s\"'=,(]:[^\s:@/\"'`]+@"
    r"|\baddauth\s+digest\s|(?:\n|\\n|[\"';])\s*user\s|:(?:pserver|ext|gserver|kserver|sspi):|\bhttp-basic\.[^\s]+\s|(?:-oauth|-token|bearer)\.[a-z0-9_.\-]+\s|\susing\s|proxyauth="
    r"|ogin:[\s\-]|/t/[a-z0-9_\-]+/"
    r"|\A:[^\s:@/]+@|ass[a-z]*[^\s]*\s*;?\s*\{?\s*(?:exp_)?send\s"
    r"|(?:user|password|_hash|hash|hashpw|hashsync)\(|\bhmac-[a-z0-9_]+:"
    r"|(?:pass|secret|token)[a-z_\-]*[\"',=\s]+(?:\$\(|`)?(?:/usr)?(?:/bin/)?(?:echo|printf)\s|wifi:"
    r"|\bpragma\s+[a-z]*key\s*=|@(?:tcp|unix|tcp6)?\(|,p=|\spass(?:word)?\s+[\"']"
    rf"|:{'[0-9a-f]' * 32}(?:[\s\"':@]|\z)"
    r"|\buserid=[\"']?[^\s/\"']+/|\blogon\s+[^\s/,]+/[^\s,]+,|(?:\A|[\s,\"'])user(?:name)?=[a-z_][a-z0-9_.@\\\-]*[:%]"
    r"|\Ap\n\n|\bsetuser[\s\"',]|\bkeys?\s+(?:d:)?(?:[0-3]|s):|/oper\s|nickserv\s+identify\s|\brtmps?://"
    rf"|[\s\"',]0x{'[0-9a-f]' * 8}|\bkey[\s\"',]+[0-9]+[\s\"',]+[0-9a-f]"
    r"|(?:\A|[\s\"'=])(?:aes|3?des|blowfish|camellia|twofish|serpent|cast128|rc4)[a-z0-9\-]*:[^\s\"',:]"
)
"""The fixed part of every form."""

_CARRIED: Final = grouped("|".join(_FORMS))
"""Any of the forms."""

INSERT_GATE: Final = r"insert\s+into\s[^()]*\([^()]*(?:pass|pwd|secret|token|key|cred)"
"""An insert that names a column of secrets."""

_INSERT: Final = re.compile(r"(?i)insert\s+into\s[^()]{1,200}\(([^()]{1,1000})\)\s*values\s*")
_QUOTED_VALUE: Final = re.compile(r"\s*(?:'((?:[^']|'')*)'|\"([^\"]*)\"|([^,()'\"\s]+(?:\([^()]*\))?))\s*([,)])")
_MAX_COLUMNS: Final = 64

EXAMPLES: Final = {
    "CARRIED_GATE": ('user = "ann:hunter2"', 'name = "ann"'),
    "_CARRIED": ('user = "ann:hunter2"', 'user = "ann"'),
    "INSERT_GATE": ("insert into t(a, password) values", "insert into t(a) values"),
    "_INSERT": ("insert into t(a) values (1)", "insert into t select 1"),
    "_QUOTED_VALUE": ("'a',", "'a"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""


def carried_values(scan: Scan) -> list[Mask]:
    """Masks over secrets in forms of protocols, languages and files."""
    text = flattened(scan.text, "'")
    read = scan if text is scan.text else Scan(text, text.encode())
    return [
        Mask(start, end, REDACTED, "text-form")
        for start, end in read.groups(_CARRIED)
        if not is_no_secret(scan.text[start:end]) and not scan.text.endswith(_USER_VERBS, max(0, start - 12), start)
    ]


_USER_VERBS: Final = tuple(f"user {verb} " for verb in ("add", "create", "del", "delete", "rm", "show", "mod", "list"))
"""Commands about a user that look like the login in a script for ftp."""


def holds_form(line: str) -> bool:
    """Whether one of the forms is in a line."""
    return _CARRIED.capturing.search(line.encode("ascii", "replace")) is not None


def inserted_values(scan: Scan) -> list[Mask]:
    """Masks over the values of an insert whose columns hold secrets."""
    masks: list[Mask] = []
    for found in _INSERT.finditer(scan.text):
        if not scan.spend():
            break
        columns = [column.strip(" `\"'[]") for column in found.group(1).split(",")[:_MAX_COLUMNS]]
        secret = [kind_of_key(column) in STRONG for column in columns]
        masks += _rows(scan.text, found.end(), secret)
    return masks


def _rows(text: str, position: int, secret: list[bool]) -> Iterator[Mask]:
    """Masks over secret columns of the rows that begin at `position`."""
    for _ in range(_MAX_COLUMNS):
        if not text.startswith("(", position):
            return
        position += 1
        for is_secret in secret:
            value = _QUOTED_VALUE.match(text, position)
            if value is None:
                return
            start, end = next(value.span(group) for group in (1, 2, 3) if value.group(group) is not None)
            if is_secret and end > start and not is_no_secret(text[start:end]):
                yield Mask(start, end, REDACTED, "text-form")
            position = value.end()
            if value.group(4) == ")":
                break
        position = len(text) - len(text[position:].lstrip(" ,\n"))
