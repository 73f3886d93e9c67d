"""Canary secrets: a needle that nothing else contains, in the shapes that secrets really have in an event's fields.

A needle is sixteen characters of base 32, the first eight of them the same in all, so that one search finds any. It
is a password, a user name or the inside of a vendor's token, by the form. Tokens are put together here at run time,
so that no file of the project looks like a leak. The search also looks for the marker in other encodings
(hexadecimal, base 64, UTF-16, other case).

Forms are those of command lines, paths and payloads in real life. They are chosen without looking at the privacy
rules, so that they test those rules.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import re2

_MARKER: Final = "cnry" + "q7zk"
_SERIAL_BYTES: Final = 5  # eight characters of base 32


def needle_of(place: str, form: int) -> str:
    """The secret that is planted at `place` in `form`: a pure function of both."""
    serial = blake2b(f"{place}#{form}".encode(), digest_size=_SERIAL_BYTES).digest()
    return _MARKER + base64.b32encode(serial).decode().lower()


def _automaton(pattern: bytes) -> re2._Regexp:
    """RE2 looks for all clothings in one pass; the standard library would take seven times as long."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # any bytes, not only UTF-8
    options.never_capture = True
    return re2.compile(pattern, options)


def _patterns() -> Iterator[bytes]:
    """The marker as it is and in the clothings that encoders put on it, as regular expressions."""
    plain = _MARKER.encode()
    yield b"(?i:" + plain + b")"
    yield b"(?i:" + plain.hex().encode() + b")"
    yield b"(?i:" + re.escape("\0".join(_MARKER).encode()) + b")"
    for secret in (plain, plain.upper()):
        for skipped in range(3):
            # Of base 64 the characters that do not depend on what stands before and behind.
            encoded = base64.b64encode(b"\0" * skipped + secret)
            first = -(-skipped * 8 // 6)
            last = (skipped + len(secret)) * 8 // 6
            yield re.escape(encoded[first:last])


_SEARCH: Final = _automaton(b"|".join(_patterns()))
_HEX: Final = re.compile(rb"[0-9a-fA-F]{32,}")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{20,}")
_PLAIN: Final = re.compile(rb"(?i)" + _MARKER.encode() + rb"[a-z2-7]{8}")


def traces(content: bytes) -> list[str]:
    """Needles found in `content`, sorted; `?` where there is one that cannot be read whole. Empty: nothing leaked."""
    if _SEARCH.search(content) is None:
        return []
    needles = {found.decode().lower() for undressed in _undressed(content) for found in _PLAIN.findall(undressed)}
    return sorted(needles) or ["?"]


def _undressed(content: bytes) -> Iterator[bytes]:
    yield content
    yield content.replace(b"\0", b"")
    for digits in _HEX.findall(content):
        for skipped in range(2):
            yield binascii.unhexlify(digits[skipped : len(digits) - (len(digits) - skipped) % 2])
    for run in _BASE64.findall(content):
        for skipped in range(4):
            aligned = run[skipped:] + b"A" * (-(len(run) - skipped) % 4)
            yield base64.b64decode(aligned, altchars=b"-_" if b"-" in run or b"_" in run else b"+/")


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A program and an argument string of it with `{}` where the secret stands."""

    program: str
    arguments: str


COMMAND_LINES: Final = (
    CommandLine("mysql", "--host db.internal --user app --password={} orders"),
    CommandLine("mysql", "-h db.internal -u app -p{} orders"),
    CommandLine("mysqldump", "--single-transaction --password {} orders"),
    CommandLine("psql", "postgresql://app:{}@db.internal:5432/orders?sslmode=require"),
    CommandLine("sshpass", "-p {} ssh deploy@bastion.internal uptime"),
    CommandLine("curl", "-sS -u admin:{} https://api.internal/v1/health"),
    CommandLine("curl", '-sS -H "Authorization: Bearer {}" https://api.internal/v1/orders'),
    CommandLine("curl", '-X POST -d "grant_type=password&client_secret={}" https://login.internal/token'),
    CommandLine("env", "PGPASSWORD={} pg_dump --host db.internal orders"),
    CommandLine("docker", "login -u ci -p {} registry.internal"),
    CommandLine("redis-cli", "-h cache.internal -a {} ping"),
    CommandLine("java", "-Xmx2g -Djavax.net.ssl.keyStorePassword={} -jar /srv/ledger.jar"),
    CommandLine("sh", '-c "mysqladmin --user=root --password={} status"'),
    CommandLine("git", "clone https://ci:{}@git.internal/team/ledger.git"),
    CommandLine("sqlcmd", '-S "tcp:db.internal;Password={};Encrypt=yes" -Q status'),
    CommandLine("rsync", "-a /home/{}/.ssh/id_ed25519 backup.internal:/keys/"),
    CommandLine("terraform", "apply -auto-approve -var db_password={}"),
)

_TEXTS: Final = (
    "password={}",
    "Authorization: Bearer {}",
    "amqp://app:{}@queue.internal/orders",
    '{{"user": "app", "api_key": "{}"}}',
    "cannot open /home/{}/.ssh/id_rsa",
    "set client secret: {}",
)

_PATHS: Final = (
    "/home/{}/.ssh/id_rsa",
    "/home/{}/src/ledger/main.py",
    "/Users/{}/Library/Keychains/login.keychain-db",
    "/var/home/{}/.aws/credentials",
    "/srv/app/.ssh/{}",
    "/etc/ssl/private/{}.key",
    "/proc/4242/root/home/{}/.netrc",
)

_MODULES: Final = (
    "/home/{}/lib/libledger.so.1",
    "/memfd:{} (deleted)",
    "[anon:{}]",
    "/var/lib/docker/overlay2/" + "0a1b2c3d" * 8 + "/merged/home/{}/lib/libledger.so.1",
    "/home/{}/.cache/jit/libledger.so (deleted)",
)


def _token(prefix: str, needle: str, length: int) -> str:
    """A token of `length` characters after its prefix, with the needle in front."""
    filler = blake2b(needle.encode()).hexdigest()
    return prefix + (needle + filler)[:length]


_JWT_HEAD: Final = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"ci"}')
)

_TOKENS: Final = (
    ("gh" + "p_", 36),
    ("AK" + "IA", 16),
    ("gl" + "pat-", 20),
    ("np" + "m_", 36),
    ("sk" + "_live_", 24),
    ("xo" + "xb-" + "123456789012-", 24),
    (_JWT_HEAD + ".", 43),
)
"""Prefixes of vendors' tokens, and how many characters follow."""


def _key_block(needle: str) -> str:
    kind = "RSA PRI" + "VATE KEY"
    return f"-----BEGIN {kind}-----\n{_token('', needle, 64)}\n-----END {kind}-----\n"


def raw(needle: str, _form: int) -> str:
    """The secret alone, for fields that may never leave or that hold nothing else."""
    return needle


def token(needle: str, form: int) -> str:
    """A vendor's token, for names: they may leave, but never with such a thing in them."""
    prefix, length = _TOKENS[form % len(_TOKENS)]
    found = _token(prefix, needle, length)
    return found.upper() if prefix.isupper() else found


def command_line(needle: str, form: int) -> str:
    """The arguments of `program(form)` with a secret."""
    return COMMAND_LINES[form % len(COMMAND_LINES)].arguments.format(needle)


def binary(needle: str, form: int) -> str:
    """The program that goes with `command_line` of the same form, in somebody's home directory."""
    return f"/home/{needle}/bin/{COMMAND_LINES[form % len(COMMAND_LINES)].program}"


def text(needle: str, form: int) -> str:
    """Free text with a secret."""
    kind = form % (len(_TEXTS) + 1)
    return _key_block(needle) if kind == len(_TEXTS) else _TEXTS[kind].format(needle)


def path(needle: str, form: int) -> str:
    """A path with a user's or a credential's name."""
    return _PATHS[form % len(_PATHS)].format(needle)


def module(needle: str, form: int) -> str:
    """A mapping's path as /proc/PID/maps prints it, with a user's or a process's own name in it."""
    return _MODULES[form % len(_MODULES)].format(needle)


def execution(needle: str, _form: int) -> str:
    """An exec_id: base 64 of node name, kernel time and pid."""
    return base64.b64encode(f"{needle}:1700000000000000:4242".encode()).decode()


def buffer(needle: str, form: int) -> bytes:
    """A user buffer: what goes through write(2) or SSL_write."""
    secret = needle.encode()
    buffers = (
        b"POST /login HTTP/1.1\r\nHost: api.internal\r\nContent-Length: 41\r\n\r\nuser=app&password=" + secret,
        b"GET /orders HTTP/1.1\r\nCookie: session=" + secret + b"\r\nAccept: */*\r\n\r\n",
        b"\x00\x01\xfe\xffpassword=" + secret + b"\x00\x00",
        f"password={needle}".encode("utf-16-le"),
        secret,
    )
    return buffers[form % len(buffers)]
