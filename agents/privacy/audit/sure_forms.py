"""Forms that are sure of what they find: a finding means an alarm.

They share nothing with the filter's rules: another regular expression engine, other patterns, no gate, no vocabulary.
"""

import re
from collections.abc import Iterator
from typing import Final

from agents.privacy.audit import check_digits

_MASKED: Final = r"(?!\[(?:redacted|credential|user|home)[\]:])"
"""What the filter puts in the place of a value."""

_NO_VALUE: Final = r"(?!true\b|false\b|null\b|none\b|yes\b|no\b|[a-z]+-secret\b|\$|<|\{|/|id=|type=|\*+|\Z)"
"""What stands in the place of a value and is not secret: a switch, a variable, a template, a path, nothing."""

_PATTERNS: Final = {
    # `user:password@` in a URL, where the password is not a port
    "url-password": re.compile(r"://[^\s/:@\[{]{1,64}:" + _MASKED + r"(?!\{|\d{1,5}[/\s]|\$)[^\s/@]{1,128}@"),
    # a header with its scheme and a credential
    "authorization": re.compile(
        r"(?i)authorization[\"']?: ?(?:basic|bearer|token) " + _MASKED + _NO_VALUE + r"[\w+/=.~-]{6,64}"
    ),
    # an access key of AWS, by its exact length
    "cloud-key": re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    # tokens of vendors by prefix and most of their length
    "vendor-token": re.compile(
        r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{30}|github_pat_\w{30}|gl(?:pat|rt|ptt|dt|soat|ft|imt|agent|cbt)-[\w-]{16}"
        r"|xox[abeprs]-\d{6}|xapp-\d-\w{8}|npm_[A-Za-z0-9]{30}|[srp]k_(?:live|test)_[A-Za-z0-9]{16}|whsec_[A-Za-z0-9+/]{20}"
        r"|AIza[\w-]{35}|ya29\.[\w-]{20}|GOCSPX-[\w-]{20}|hv[sbr]\.[\w-]{20}|SG\.[\w-]{20}\.|sk-(?:ant-|proj-)?[\w-]{20}"
        r"|do[opr]_v1_[a-f0-9]{40}|shp(?:at|ss|ca|pa)_[a-f0-9]{20}|sq0(?:atp|csp)-[\w-]{20}|EAACEdEose0cBA|pypi-AgE[\w-]{16}"
        r"|NR(?:AK|II|RA)-[A-Z0-9]{20}|PMAK-[a-f0-9]{20}|lin_api_\w{20}|figd_[\w-]{20}|dapi[a-f0-9]{32}|hf_[A-Za-z]{30}"
        r"|r8_\w{30}|gsk_\w{30}|xai-\w{30}|tvly-[\w-]{16}|pplx-\w{30}|sbp_[a-f0-9]{30}|ph[cx]_\w{30}|nfp_\w{20}"
        r"|dckr_pat_[\w-]{20}|ATATT3[\w-]{20}|ATBB\w{20}|\w{14}\.atlasv1\.[\w-]{20}|tskey-[a-z]+-\w{8}|ops_eyJ\w{20}"
        r"|xkeysib-[a-f0-9]{30}|rzp_live_\w{10}|[a-f0-9]{32}-us\d{1,2}(?!\w)|key-[a-f0-9]{32}(?!\w)|SK[a-f0-9]{32}(?!\w)"
        r"|\d{8,10}:AA[\w-]{32,33}(?![\w-])|[MNO][\w-]{23}\.[\w-]{6}\.[\w-]{27}|v[1-4]\.(?:local|public)\.[\w-]{20}"
        r"|aio_\w{26}|glsa_\w{30}|glc_eyJ|CFPAT-[\w-]{20}|dt0c01\.\w{20}|sntry[su]_\w{20}|EZ[AT]K\w{50}|rubygems_[a-f0-9]{40}"
        r"|FlyV1 fm\d_|PVT_?[A-Z0-9]{30}|A3-[A-Z0-9]{6}-(?:[A-Z0-9]{5,11}-){3})"
    ),
    # the first two parts of a JSON web token: both begin with `{"` in base 64
    "web-token": re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{8,256}\.(?:eyJ[\w-]{4}|\.[\w-]{8}|[\w-]{40})"),
    # addresses that let in whoever knows them, and signatures in addresses
    "secret-address": re.compile(
        r"hooks\.slack\.com/(?:services|workflows)/\w{6}|discord(?:app)?\.com/api/webhooks/\d{10}|/webhookb2/[\w@-]{20}"
        r"|api\.telegram\.org/bot\d{6}|[?&](?:X-Amz-Signature|X-Goog-Signature|Signature|sig|sv_sig)="
        + _MASKED
        + r"[\w%+/-]{16}"
        r"|(?:AccountKey|SharedAccessKey|SharedAccessSignature)="
        + _MASKED
        + r"[\w%+/=&-]{20}|hooks\.zapier\.com/hooks/catch/\d"
    ),
    # the first line of a private key with key material after it, or key material by how it begins
    "key-block": re.compile(
        r"-----BEGIN (?:[A-Z]{2,9} ){0,2}PRIVATE KEY(?: BLOCK)?-----\s*[A-Za-z0-9+/]{16}|b3BlbnNzaC1rZXktdjE"
        r"|(?<![A-Za-z0-9+/])(?:MII[A-Za-z0-9]{2}[A-Za-z0-9+/](?:IBADAN|IBAAK)|MHcCAQEE|MIGHAgEAM|MC4CAQAwBQ"
        r"|MIG[A-Za-z0-9]AgEBBD)|AGE-SECRET-KEY-1[A-Z0-9]{16}|PuTTY-User-Key-File|Private-Lines:"
    ),
    # digests of passwords as files and databases keep them
    "password-hash": re.compile(
        r"\$(?:1|2[abxy]|5|6|y|7|8|9|apr1|argon2\w{1,2}|scrypt|krb5\w{1,12}|pbkdf2[\w-]{0,12}|sm3|gy)\$[./\w=,+$*@-]{20}"
        r"|\{(?:S?SHA\d{0,3}|SMD5|CRYPT|PBKDF2[\w-]*)\}[\w+/=$.]{16}|(?:pbkdf2_sha\d{1,3}|bcrypt_sha256|scrypt|argon2)\$[\w$=,./+]{20}"
        r"|(?<![a-f0-9])aad3b435b51404eeaad3b435b51404ee:[a-f0-9]{32}|(?<!\w)\*[A-F0-9]{40}(?!\w)|SCRAM-SHA-\d{1,3}\$\d{3}"
        r"|(?<!\w)md5[a-f0-9]{32}(?!\w)"
    ),
    # a home with a name where the filter would have left `~`
    "home": re.compile(r"(?:^|[\s=:\"'(,])/(?:home|Users|var/home)/(?![~*$<{])[^/\s:\"',]{1,64}"),
    # a credential file by its name and folder
    "credential-file": re.compile(
        r"/\.ssh/id_[a-z0-9_]{2,16}(?![\w.])|/\.aws/credentials|/\.kube/config(?!\w)|/\.netrc(?!\w)|/\.pgpass(?!\w)"
        r"|/etc/g?shadow-?(?!\w)|/proc/\d{1,9}/environ(?!\w)|kubernetes\.io/serviceaccount/token"
    ),
}
"""By the name of the rule."""

_CHECKED: Final = {
    "payment-card": check_digits.has_card,
    "bank-account": check_digits.has_account,
    "person-number": check_digits.has_person_number,
    "wallet-key": check_digits.has_wallet_key,
}
"""Numbers and keys that prove themselves, in texts that people and programs write."""

EXAMPLES: Final = {
    "url-password": ("https://ann:hunter2@host/", "https://host:8080/@ann"),
    "authorization": ("Authorization: Bearer a1b2c3d4", "Authorization: Bearer [redacted]"),
    "cloud-key": ("AKIA" + "A1" * 8, "AKIA" + "A1" * 7),
    "vendor-token": ("npm_" + "a1" * 15, "npm_" + "a1" * 5),
    "web-token": ("eyJ" + "a" * 8 + ".eyJ" + "a" * 4, "eyJ" + "a" * 8),
    "secret-address": ("hooks.slack" + ".com/services/T0A1B2C3", "hooks.slack" + ".com/docs"),
    "key-block": ("-----BEGIN" + " PRIVATE KEY----- " + "a1" * 8, "-----BEGIN" + " PRIVATE KEY----- [redacted]"),
    "password-hash": ("$6$" + "salt1234$" + "a1" * 10, "awk {print $6$1}"),
    "home": ("cat /home/ann/x", "cat ~/x"),
    "credential-file": ("cat /root/.netrc", "cat ~/[credential]"),
    "payment-card": ("charge 4111111111111111", "charge 4111111111111112"),
    "bank-account": ("pay DE89370400440532013000", "pay DE89370400440532013001"),
    "person-number": ("find 219-09-9999", "find 219-00-9999"),
    "wallet-key": (
        "import 5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
        "import 5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTK",
    ),
}
"""By rule: a line that it reports, and a similar one that it passes over (a test runs all of them).

What looks like a token is put together here, or scanners of repositories would report this file.
"""


def sure_rules(piece: str, *, is_free: bool) -> Iterator[str]:
    """Rules that find something in a piece of text; `is_free` if it is not a name that a machine chose."""
    yield from (rule for rule, pattern in _PATTERNS.items() if pattern.search(piece))
    if is_free and any(map(str.isdigit, piece)):
        yield from (rule for rule, finds in _CHECKED.items() if finds(piece))
