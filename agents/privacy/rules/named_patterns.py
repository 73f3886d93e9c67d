r"""The patterns of named values: names that hold a word of secrets, and what joins a name to its value.

Two kinds stand here. Gates say cheaply whether a text may hold a named value at all; they are looser than the rules.
The others say where in the text: named_values.py then judges the name by the vocabulary and finds where the value ends.
`EXAMPLES`, at the end, has a line that each pattern matches and a similar line that it passes over. All are matched
without regard to case. Repetitions like `{3}` are avoided in gates, because they make RE2's automaton large.
"""

from typing import Final

from agents.privacy.matching.gate import compiled
from agents.privacy.matching.scan import grouped
from agents.privacy.rules import pipes

_ANYWHERE: Final = (
    "pass|pwd|psw|pword|secret|token|key|cred|auth|cookie|session|sessid|csrf|xsrf|jwt|bearer|mnemonic|signature|community"
    "|kennwort|contrase|wachtwoord|motdepasse|regcode|twofactor|ticket"
)
"""Words that may stand anywhere in a name. They are long or rare enough that few other words contain them."""

_AT_END: Final = (
    "sid|sess|access_?id|sig|pin|otp|totp|psk|pat|sas|pw|dsn|salt|seed|nonce|login|code|access|factor|cvv|cvc|ssn"
    "|pas?|toke?|secre|credential|ke|senha|heslo|haslo|parola|__(?:com|org|net|io|dev)"
)
"""Words that must end the name, because they are part of too many others (`pin` of `spinner`, `code` of `encoder`).

`__com` ends the names that Bundler gives to the credentials of a gem server: BUNDLE_GEMS__EXAMPLE__COM.
"""

_JOINED: Final = (
    r"(?:\[[\w.$-]*\])?[\"'`\])}\\]*\s*(?:(?:[=:]+[>=]?|%3[ad])\s*[\"'`]*|(?:[?!|+]=|\|\||<-|->|>)\s*[\"'`]*|[,(]\s*\\?[\"'`]"
    r"|[,;]?\s*\\?[\"']?value\\?[\"']?\s*[=:]\s*[\"'`]?)"
)
"""What joins a name to a value: `=`, `:`, `=>`, `%3d`, `||`, `", "`, `("`, `" value="`, after an index or a quote."""

ASSIGNED_GATE: Final = rf"(?:(?:{_ANYWHERE})[a-z0-9_.\-]*|(?:{_AT_END})[0-9]*){_JOINED}"
"""A name with a word of secrets, joined to something. The front of the name does not matter to a gate, so it is not
looked at."""

OPTION_GATE: Final = (
    rf"(?:\A|[\s\"'`=(,\[])[-/+][a-z0-9_.\-]*(?:(?:{_ANYWHERE})[a-z0-9_.\-]*|(?:{_AT_END})[0-9]*)"
    r"[\"']?(?:\s+|,\s*)(?:[^\s\-]|-(?:[^a-z\-]|\z))"
)
"""An option with a word of secrets, and an argument after it: nothing but a space joins the two."""

REVERSED_GATE: Final = rf"[\"'`]\s*[!=]=+\s*[\"'`]?\$?\{{?[a-z0-9_.\-]*(?:{_ANYWHERE})"
"""A quote that closes, a comparison, and a name with a word of secrets: the value stands before the name."""

_BARE_NAMES: Final = (
    r"(?:[a-z0-9][_.](?:pass(?:wd)?|pwd|pw|psk|secret|[a-z]*token|(?:access|secret|api|private|auth)_?key|credentials?)"
    r"|password|passphrase|requirepass|masterauth|secretaccesskey|api_?key|(?:private|secret|access|auth)_key"
    r"|[a-z](?:token|secret))"
)
"""Ends of names that announce the next word without a dash or a sign. They are few: prose has such words too."""

_COULD_BE_SECRET: Final = rf"(?:[a-z]*[0-9]|{'[a-z]' * 24})"
"""The beginning of a value that a common word can announce: it has a digit soon, or 24 letters. `secret ls` has not."""

BARE_GATE: Final = (
    rf"{_BARE_NAMES}[\"']?\s+[^\s=&|<>;:\-]"
    rf"|(?:[^a-z0-9_.\-]|\A)(?:token|secret|credentials)[\"']?\s+[\"'`]*{_COULD_BE_SECRET}"
)
"""A bare name and the word after it; after a common word alone, one that could be a secret."""

IDENTIFIED_GATE: Final = (
    r"identified\s+(?:with\s+\S+\s+)?(?:by|as)\s|set\s+password\s+for\s|convertto-securestring\s"
    r"|<<<|object[\s\"',]+secret,|machine\s+\S+\s+login\s"
)
"""Phrases of SQL, PowerShell, QEMU and netrc before a password, and anything that a shell pipes into a program."""

QUERY_GATE: Final = r"[?&](?:key|sig|sv|code|auth|hash|pass|pw|otp|sid|state|ticket|samlresponse|assertion)="
"""A parameter in a URL whose short name says nothing elsewhere, as in `?sig=`."""

NAMED = compiled(
    rf"[a-z0-9_.\-]*(?:(?:{_ANYWHERE})[a-z0-9_.\-]*|(?:{_AT_END})[0-9]*)"
    r"(?:(?:\[[\w.$-]*\])?[\"'`\])}\\]*\s*(?:>\s*<value>"  # <setting name="password"><value>
    r"|:\s*&?(?:str|string|text|bytes)\s*="  # password: str =
    r"|(?:[,;]?\s*\\?[\"']?value\\?[\"']?\s*)?(?:=>|:=|===?|[?!|+]=|\|\||<-|->|::?=?|=|%3[ad])"
    r"|>|,|\()\s*|[\"']?\s+)",
    ignore_case=True,
)
"""The whole name, and all that joins it to a value; the value begins where the match ends.

Its end tells the two ways apart: a sign, or (the last alternative) nothing but white space.
"""

REVERSED = grouped(rf"([\"'`])\s*[!=]=+\s*[\"'`]?\$?\{{?[a-z0-9_.\-]*(?:{_ANYWHERE})[a-z0-9_.\-]*", ignore_case=True)
"""As its gate, with the whole name. The group is the quote that closes: the value is looked for to its left."""

BARE = compiled(rf"[a-z0-9_.\-]*{_BARE_NAMES}|token|secret|credentials", ignore_case=True)
"""A whole name that may announce the next word by itself."""

UNQUOTED_TALK = compiled(r"(?:private|secret|access|auth)_key", ignore_case=True)
"""Whole names after which an unquoted word is the name of a file or a resource more often than a key."""

IDENTIFIED = compiled(
    r"identified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?|set\s+password\s+for\s+\S+\s*=\s*(?:password\()?"
    r"|convertto-securestring\s+(?:-string\s+)?|object[\s\"',]+secret,[^\s]*data="
    r"|machine\s+\S+\s+login\s+\S+\s+password\s+",
    ignore_case=True,
)
"""Phrases whose end is where a password begins."""

HERE = grouped(pipes.ASKING + r"[^|<]*<<<\s*(?:\"([^\"]+)\"|'([^']+)'|([^\s|\"']+))", ignore_case=True)
"""What bash's `<<<` hands to a program that reads a password. The group is the text, without quotes."""

EXAMPLES: Final = {
    "_ANYWHERE": ("passphrase", "username"),
    "_AT_END": ("otp", "colour"),
    "_JOINED": ("password = hunter2", "password hunter2"),
    "ASSIGNED_GATE": ("PGPASSWORD=hunter2", "passing the tests"),
    "OPTION_GATE": ("mysql --password hunter2", "mysql --password"),
    "REVERSED_GATE": ('if "hunter2" == db_password', 'if "hunter2" == username'),
    "_BARE_NAMES": ("requirepass", "username"),
    "_COULD_BE_SECRET": ("hunter2", "list"),
    "BARE_GATE": ("redis-cli config set requirepass hunter2", "vault secret list"),
    "IDENTIFIED_GATE": ("CREATE USER app IDENTIFIED BY 'hunter2'", "CREATE USER app"),
    "QUERY_GATE": ("GET /v1?sig=hunter2", "GET /v1?page=2"),
    "NAMED": ("db_password: hunter2", "user_name: hunter2"),
    "REVERSED": ('if "hunter2" == db_password', 'if "hunter2" == username'),
    "BARE": ("dd_password", "dd_user"),
    "UNQUOTED_TALK": ("private_key", "api_key"),
    "IDENTIFIED": ("CREATE USER app IDENTIFIED BY 'hunter2'", "CREATE USER app"),
    "HERE": ("kinit ann <<< hunter2", "wc -c <<< hunter2"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""
