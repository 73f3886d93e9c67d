"""The vocabulary of secrets: which names announce one.

`kind_of_key` reads a name the way a person does: `--db-password`, `keyStorePassword`, `DD_API_KEY` and
`aws_secret_access_key` announce a secret, `--password-file`, `token_ttl` and `secretName` talk about one. Its words are
split at separators and at changes of case.

A name is judged by its words alone, never by its value. Everything here is lower-case ASCII.
"""

import enum
from itertools import pairwise
from typing import Final

from agents.memo import Memo


def word_set(text: str) -> frozenset[str]:
    """The words of `text`, for word lists that read as text."""
    return frozenset(text.split())


PLAIN_NAMES: Final = word_set("""
    username user login email mail host hostname port url uri name database db region ttl bucket protocol path
""")
"""Names in a list of secrets whose values are none: `--from-literal=username=ann`."""


class KeyKind(enum.Enum):
    """What a name says of the value beside it."""

    NONE = "none"
    WEAK = "weak"  # a secret only if the value looks like one
    KEY = "key"  # key material, a token or credentials; may also be given as a path or URL, which have their own rules
    PASSWORD = "password"  # noqa: S105 - a kind's name: whatever the value looks like, it is secret
    AUTHORIZATION = "authorization"  # a header value: a scheme, then a credential
    COOKIE = "cookie"  # a header value: pairs


# an enum's member costs a call in Python to look up, and these are looked at for each name
NONE: Final = KeyKind.NONE
WEAK: Final = KeyKind.WEAK
KEY: Final = KeyKind.KEY
PASSWORD: Final = KeyKind.PASSWORD
AUTHORIZATION: Final = KeyKind.AUTHORIZATION
COOKIE: Final = KeyKind.COOKIE

STRONG: Final = (PASSWORD, KEY)
"""What a value is secret behind, whatever it looks like; a tuple, because a set asks for the hash of a member, which
Python computes in Python."""


_PASSWORDS: Final = word_set("""
    password passwords passwd passwrd passw passwort passphrase passcode passkey pass pwd pswd psw pw pword
    kennwort senha contrasena contrasenya motdepasse wachtwoord heslo haslo parola sifre psk pin otp totp
    mnemonic cvv cvc ssn unlockcode enterpin sopin userpin newpin oldpin simpin pincode
""")
_PASSWORD_STEMS: Final = ("password", "passwd", "passphrase", "passwort", "pwd")
_PASS_ENDING_BENIGN: Final = word_set("""
    bypass compass trespass surpass overpass underpass encompass subpass multipass
""")

_KEYS: Final = word_set("""
    securitykey secret token apikey appkey accesskey secretkey privatekey privkey authkey masterkey accountkey sharedkey
    signingkey encryptionkey sessionkey apisecret clientsecret appsecret credential credentials cred creds jwt
    bearer sessionid jsessionid phpsessid csrf csrftoken xsrf xcsrftoken userpass masterauth apitoken
    accesstoken authtoken idtoken authcode refreshtoken pat sas secretid sessiontoken regcode twofactor
""")
_KEY_STEMS: Final = ("token", "secret", "apikey", "secretkey", "privatekey", "accesskey", "credentials")

# `key` alone says little; after one of these words it is key material.
_KEY_QUALIFIERS: Final = word_set("""
    api access secret private priv app application auth authentication encryption encrypt encrypted signing sign
    master account storage shared subscription service license licence consumer deploy functions function admin
    ssh rsa hmac aes cipher crypto session root write ingest ingestion instrumentation webhook security maps
    rapidapi stream publishable ssl tls ca server client user decrypt decryption jwt token host function
    activation recovery unseal unlock wifi wpa wep preshared integration socket
""")

_GLUED_QUALIFIERS: Final = word_set("psk hex mac enc dec pre product registration reg join cluster node md5")
"""The same, where nothing stands between the two words: `pskkey`."""

_WEAK: Final = word_set("""
    key auth authentication session sess sid sig signature salt seed nonce login code access api secrets tokens
    community passes hash digest webhook dsn identity otpauth license licence xsrf two tfa mfa ticket
""")

# What a last word turns into talk about a secret.
_ABOUT: Final = word_set("""
    file files filename path paths dir directory dirs folder ttl name names type types url urls uri endpoint
    endpoints host hosts hostname port stdin env fd prompt policy policies length len min max size sizes count
    limit limits timeout expiry expiration expires expire expired lifetime duration interval age days hours
    minutes seconds format formats encoding algorithm algorithms alg algo method methods mode modes provider
    providers store stores helper plugin plugins version versions id ids arn ref refs namespace namespaces label
    labels prefix suffix field fields column header headers param params parameter required enabled disabled
    enable disable supported review reviews hint usage usages issuer audience scope scopes owner group realm
    domain template schema index separator manager rotation request requests validation validator verify
    verification check exists status state list cache jar httponly samesite class factory handler filter
    callback source storage backend driver pattern regex rule rules chars charset strength complexity history
    attempts retries budget bucket rate cost price only generator generate hashing iterations rounds pair pairs
    location pem crt cert certificate certs ca bundle through by conf config configs cfg yaml yml json toml txt
    kind section category mount mounts volume volumes rotate renew renewal policyfile strategy reader writer
    service servers sync test tests md html py js ts go rs java sh h c cpp hpp error errors errs failed failure
    ratio percent share profile agent specification eval cmd command program
    invalid missing izer ize encoder encoders decoder hasher
""")

# `--no-password`, `min-password-length`: what a first word turns into talk about a secret.
_ABOUT_FIRST: Final = word_set("""
    clear delete remove list get describe forgot generate
    no not disable disabled skip without min max num ask prompt has is show use require allow
""")

# Names whose last word would make them talk, but which hold the secret itself.
_SECRET_IDS: Final = frozenset({("key", "id"), ("secret", "id"), ("session", "id"), ("access", "id")})

_BEFORE_CODE: Final = ("auth", "verification", "pairing", "mfa", "totp", "activation", "recovery", "unlock", "backup")
_SECRET_PAIRS: Final = frozenset(
    {("community", "string"), ("session", "id"), ("two", "factor"), ("access", "id")}
    | {(first, "code") for first in _BEFORE_CODE}
)
# What a word before the last turns into a name, a page or a cluster's mark.
_ABOUT_PAIRS: Final = frozenset(
    (first, last)
    for firsts, lasts in (
        ("existing pull ingress", "secret"),
        ("starting next page continuation previous sync cluster idempotency pagination request", "token"),
        ("export delete list import recv send edit install refresh search fetch partition sort", "key keys"),
        ("project public primary foreign describe", "key keys"),
        ("save load", "cookie cookies"),
        ("secret", "keys"),
    )
    for first in firsts.split()
    for last in lasts.split()
)

# Beginnings of the words of secrets that nothing else begins with: programs take them for the whole option.
_BEGINNINGS: Final = {
    beginning: kind
    for kind, words in (
        (PASSWORD, ("password", "passwd", "passphrase", "passcode")),
        (KEY, ("token", "secret", "credentials")),
    )
    for word in words
    for length in range(3, len(word))
    if (beginning := word[:length]) not in {"sec", "secr", "cred", "creds"}
}
_PLACED: Final = frozenset({("pwd",), ("oldpwd",), ("auth", "user", "pass")})
"""A shell's working folder, OpenVPN's file: no secrets if they are paths."""

_SHORTEST_BEGINNING: Final = "pa"  # of `-password`, alone: `-pa`

_MAX_NAME: Final = 160  # a longer "name" is data; its end still says what it announces
_REMEMBERED_NAMES: Final = 4096  # a few hundred occur; strangers' names must not push those out at once


def kind_of_key(name: str) -> KeyKind:
    """What `name` (ASCII, with any dashes, dots and prefixes) says of the value beside it."""
    return _NAMES[name[-_MAX_NAME:]]


def name_parts(name: str) -> list[str]:
    """Lower-case words of `name`: split at separators and before capitals, digits at the end of a word dropped."""
    parts: list[str] = []
    current = ""
    for position, character in enumerate(name):
        begins_word = character.isupper() and (
            not current[-1:].isupper() or name[position + 1 : position + 2].islower()
        )
        if current and (begins_word or not character.isalnum()):
            parts.append(current)
            current = ""
        if character.isalnum():
            current += character
    parts.append(current)
    return [stripped.lower() for part in parts if (stripped := part.rstrip("0123456789"))]


def _classified(name: str) -> KeyKind:
    """The kind that the words of `name` announce."""
    parts = name_parts(name)
    if parts and parts[0] == "bundle" and "__" in name:
        return WEAK  # Bundler's credentials for a gem server: BUNDLE_GEMS__EXAMPLE__COM
    if not parts or _is_talk(parts):
        return NONE
    if tuple(parts) in _PLACED:
        return KEY
    if tuple(parts[-2:]) == ("secret", "id"):
        return WEAK  # Vault's is one, the cloud's is a name
    last = parts[-1]
    # `PASSword` is not camel case, so what stands between separators counts as a word as well
    read = {*parts, *"".join(c if c.isalnum() else " " for c in name.lower()).split()}
    if name.lstrip("-") in {"_auth", "_authToken"}:
        return KEY  # npm's
    if last == "authorization":
        kind = AUTHORIZATION
    elif last in {"cookie", "cookies"}:
        kind = COOKIE
    elif any(map(_is_password, read)):
        kind = PASSWORD
    elif any(map(_is_key, read)) or _has_qualified_key(parts) or tuple(parts[-2:]) in _SECRET_PAIRS:
        kind = KEY
    else:
        kind = WEAK if last in _WEAK else _of_beginning(name, parts)
    return kind


def _of_beginning(name: str, parts: list[str]) -> KeyKind:
    """What an option announces whose last word is the beginning of a secret's: `--http-passwor`, `--api-ke`."""
    if name[0] != "-":
        return NONE
    if parts[-1] == "ke" and len(parts) > 1 and parts[-2] in _KEY_QUALIFIERS:
        return KEY
    if name == f"-{_SHORTEST_BEGINNING}":
        return PASSWORD
    return _BEGINNINGS.get(parts[-1], NONE)


_NAMES: Final = Memo(_classified, _REMEMBERED_NAMES)


def _is_talk(parts: list[str]) -> bool:
    """Whether a name with these words talks of a secret and holds none."""
    if parts[-1] == "askpass":
        return True
    if len(parts) == 1 or _names_secret_id(parts):
        return False
    if (parts[-2], parts[-1]) in _ABOUT_PAIRS or (parts[0], parts[-1]) in _ABOUT_PAIRS:
        return True
    return parts[-1] in _ABOUT or parts[0] in _ABOUT_FIRST or ("hash" in parts and "cert" in parts)


def _is_password(word: str) -> bool:
    if word in _PASSWORDS or word.removesuffix("s").endswith(_PASSWORD_STEMS):
        return True
    for stem in ("password", "passwd", "passphrase"):
        if word.startswith(stem):
            return word.removeprefix(stem) not in {"less", *_ABOUT}
    return word.endswith(("pass", "pw")) and word not in _PASS_ENDING_BENIGN


def _is_key(word: str) -> bool:
    if word in _KEYS or word.endswith(_KEY_STEMS):
        return True
    stem = word.removesuffix("key")
    return stem != word and (stem in _KEY_QUALIFIERS or stem in _GLUED_QUALIFIERS)


def _has_qualified_key(parts: list[str]) -> bool:
    return any(b in {"key", "keys"} and a in _KEY_QUALIFIERS for a, b in pairwise(parts))


def _names_secret_id(parts: list[str]) -> bool:
    """Whether an `..._id` is itself secret: an access key's, a Vault role's, a session's."""
    if tuple(parts[-2:]) not in _SECRET_IDS:
        return False
    return parts[-2] != "key" or "access" in parts
