"""Names that announce a secret, in the languages of those who choose names."""

import enum
import re
from functools import lru_cache
from typing import Final


class Announcement(enum.IntEnum):
    """How surely a name announces a secret."""

    NONE = 0
    HINT = 1
    """What follows may be a secret, and is often a name, a file or a number."""
    SECRET = 2
    """What follows is a secret, a place where one is, or a switch."""
    PERSONAL = 3
    """As SECRET, in a language in which no program names its switches: what a person named so is what it says."""


_PERSONAL: Final = frozenset(
    """
    passwort kennwort geheimwort losung losungswort zugangscode contraseña contrasena contrasenya clave motdepasse mdp
    senha palavrapasse parola haslo hasło wachtwoord losenord lösenord salasana adgangskode kodeord passord lykilord
    heslo jelszo jelszó parool slaptazodis slaptažodis parole sifre şifre пароль parol лозинка lozinka geslo zaporka
    κωδικός סיסמה 密码 密碼 口令 パスワード 暗証番号 비밀번호 암호 mật_khẩu matkhau katasandi sandi geheimnis geheim
    secreto segredo
    """.split()  # noqa: SIM905 - a list of words reads as text
)
_SECRET: Final = frozenset(
    """
    password passwords passwd passphrase passcode pass pw pwd psw pswd pword userpw secret secrets apikey authtoken
    accesstoken secretkey privatekey credential credentials cred creds pin otp totp hotp mfa cvv cvc cvv2 seed mnemonic
    bearer jwt psk wpa wep hmac token
    """.split()  # noqa: SIM905 - a list of words reads as text
)
_HINTS: Final = frozenset(
    """
    tokens key keys auth login unlock code access session sid cookie sig signature signing private shared master
    recovery license licence activation serial salt pepper community encryption encrypt decrypt sas vault unseal root
    admin jeton chave llave schluessel schlüssel sleutel nyckel klucz chiave cle clé codigo código codice kod join
    enroll enrollment invite voucher confirm verify challenge answer basic account webhook phrase unlocking pairing
    """.split()  # noqa: SIM905 - a list of words reads as text
)
_ENDS: Final = ("password", "passwd", "passphrase", "secret", "token")
"""Of names that are written as one word: `PGPASSWORD`."""

_NUMBERS: Final = frozenset("pin otp totp hotp mfa cvv cvc cvv2 passcode".split())  # noqa: SIM905 - as above

_PARTS: Final = re.compile(r"[^\W\d_]+\d?|\d+")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NO_SECRETS: Final = frozenset(
    """
    file files path dir name names type id ids public pub length size count algorithm alg version url uri endpoint
    provider store backend policy rotation expiry ttl timeout format mode enabled ring map ref server host port usage
    method class bits curve digest fingerprint hash keyid list manager reader prompt min max age hint
    """.split()  # noqa: SIM905 - as above
)
"""Words that make of a name of secrets a name of something about them: `--token-file`."""


@lru_cache(4_096)
def announcement(name: str) -> Announcement:
    """What a name announces: that of an option, of a variable or of a field, or a word of prose."""
    parts = _PARTS.findall(_CAMEL.sub("_", name).lower())
    if not parts or parts[-1] in _NO_SECRETS or not _NO_SECRETS.isdisjoint(parts[:-1]):
        return Announcement.NONE
    known = {*parts, "".join(parts), "".join(parts[-2:])}
    if not _PERSONAL.isdisjoint(known):
        return Announcement.PERSONAL
    if not _SECRET.isdisjoint(known) or any(part.endswith(_ENDS) for part in parts):
        return Announcement.SECRET
    return Announcement.NONE if _HINTS.isdisjoint(known) else Announcement.HINT


def announces_number(name: str) -> bool:
    """Whether a name announces a number of four to eight digits that is a secret."""
    return not _NUMBERS.isdisjoint(_PARTS.findall(_CAMEL.sub("_", name).lower()))
