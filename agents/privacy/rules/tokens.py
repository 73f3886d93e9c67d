"""Secrets that show what they are: vendors' token formats, JWTs, private keys, credentials after `Bearer` or `Basic`.

A format here is a prefix or a structure that its vendor documents or that its tokens share. Lengths are lower than the
vendors' own, so that a token that was cut off is still caught. A token begins where a word begins, and the whole
token is masked. A key block without its end line runs to the end of the text.
"""

from typing import Final

from agents.privacy.matching.gate import compiled
from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.matching.scan import Scan, grouped

_TOKENS: Final = (
    # clouds
    r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA|AROA|AIDA|ANPA|ANVA)[A-Z0-9]{12,}",
    r"ABSK[A-Za-z0-9+/]{40,}=*",
    r"bedrock-api-key-[A-Za-z0-9+/=]{20,}",
    r"AIza[\w\-]{20,}",
    r"GOCSPX-[\w\-]{16,}",
    r"ya29\.[\w\-.]{16,}",
    r"1//0[\w\-]{30,}",
    r"(?:LTAI|AKID)[A-Za-z0-9]{12,}",
    r"AQVN[\w\-]{30,}",
    r"YC[\w\-]{38}",
    r"t1\.[A-Za-z0-9_\-]+=*\.[A-Za-z0-9_\-]{60,}=*",
    r"do[opr]_v1_[a-f0-9]{20,}",
    r"[\w~.]{3}\dQ~[\w~.\-]{24,}",
    r"HRKU-[\w\-]{20,}",
    r"fo1_[\w\-]{20,}",
    r"fm[12][ar]?_[A-Za-z0-9+/=_\-]{40,}",
    r"rnd_[A-Za-z0-9]{20,}",
    r"(?:LSK|SCW)[A-Z0-9]{17}",
    r"sha256~[\w\-]{30,}",
    r"SWMTKN-[\w\-]{20,}",
    r"K10[a-f0-9]{6,}::[\w:.\-]+",
    r"(?:ac|tk)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    # source hosting and packages
    r"gh[pousr]_[A-Za-z0-9]{12,}",
    r"github_pat_\w{12,}",
    r"gl(?:pat|oas|dt|rtr?|cbt|ptt|ft|imt|agent|soat|ffct)-[\w\-]{12,}(?:\.[\w.\-]+)?",
    r"GR1348941[\w\-]{12,}",
    r"ATATT3[\w\-=]{20,}",
    r"[\w\-]*ATCTT3[\w\-=]{16,}",
    r"reftkn:\d+:\d*[\w:\-]{16,}",
    r"bk[ua]a_[a-f0-9]{30,}",
    r"vercel_blob_rw_\w{20,}",
    r"(?:ATBB|BBDC-)[A-Za-z0-9]{20,}",
    r"npm_[A-Za-z0-9]{20,}",
    r"pypi-A[\w\-]{20,}",
    r"rubygems_[a-f0-9]{20,}",
    r"CLOJARS_[a-z0-9]{20,}",
    r"oy2[a-z0-9]{43}",
    r"AKCp[A-Za-z0-9]{10,}",
    r"cmVmdGtu[A-Za-z0-9]{20,}",
    r"sgph?_[a-zA-Z0-9_]{20,}",
    r"sq[uap]_[a-z0-9]{24,}",
    r"dckr_(?:pat|oat)_[\w\-]{16,}",
    r"CCIPAT_[\w]{16,}",
    # money
    r"[srp]k_(?:live|test|prod)_[A-Za-z0-9]{8,}",
    r"whsec_[A-Za-z0-9+/=]{16,}",
    r"sq0[a-z]{3}-[\w\-]{16,}",
    r"EAAA[\w\-]{40,}",
    r"access_token\$(?:production|sandbox)\$[0-9a-z]+\$[0-9a-f]{16,}",
    r"FLW(?:PUB|SEC)K(?:_TEST)?-?[A-Za-z0-9\-]{12,}",
    r"rzp_(?:live|test)_[A-Za-z0-9]{14,}",
    r"live_[A-Za-z0-9]{30,}",
    r"duffel_(?:test|live)_[\w\-=]{20,}",
    r"live_[\w\-=]{40}",
    r"shippo_(?:live|test)_[a-fA-F0-9]{20,}",
    r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{16,}",
    r"EZ[AT]K[A-Za-z0-9]{40,}",
    r"(?:live|test)_(?:pub|sec)?_?[a-f0-9]{31,}",
    r"access-(?:sandbox|development|production)-[0-9a-f\-]{36}",
    # models
    r"sk-(?:ant-|proj-|svcacct-|admin-|or-v1-)?[\w\-]{16,}",
    r"(?:hf|api_org)_[A-Za-z]{24,}",
    r"hf_[A-Za-z0-9]{24,}",
    r"gsk_[A-Za-z0-9]{24,}",
    r"r8_[A-Za-z0-9]{24,}",
    r"xai-[A-Za-z0-9]{40,}",
    r"pplx-[A-Za-z0-9]{24,}",
    r"nvapi-[\w\-]{24,}",
    r"sk_[a-f0-9]{40,}",
    r"lsv2_(?:pt|sk)_[a-f0-9_]{32,}",
    r"pcsk_\w{40,}",
    r"esecret_[a-z0-9]{20,}",
    # chat and mail
    r"xox[a-z](?:\.xox[a-z])?-[\w\-]{6,}",
    r"xapp-[\w\-]{12,}",
    r"SG\.[\w\-]{12,}\.[\w\-]{12,}",
    r"xkeysib-[a-f0-9]{20,}-[A-Za-z0-9]+",
    r"xsmtpsib-[a-f0-9]{20,}-[A-Za-z0-9]+",
    r"(?:pub)?key-[0-9a-f]{32}",
    r"[0-9a-f]{32}-us\d{1,2}",
    r"(?:SK|AC)[0-9a-fA-F]{32}",
    r"\d{5,16}:A[\w\-]{34,}",
    r"\d{15,16}\|[\w\-]{27,}",
    r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}",
    r"[MNO][A-Za-z\d_\-]{23,25}\.[\w\-]{6}\.[\w\-]{27,}",
    r"EAA[MC][A-Za-z0-9]{20,}",
    r"AAAAAAAAAAAAAAAAAAAAA[A-Za-z0-9%]{20,}",
    # operations
    r"hv[sbr]\.[A-Za-z0-9_\-]{24,}",
    r"[sbr]\.[A-Za-z0-9]{24,}",
    r"[A-Za-z0-9]{14}\.atlasv1\.[\w\-=]{20,}",
    r"dapi[0-9a-f]{20,}(?:-\d)?",
    r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.]{20,}",
    r"dt0[a-z]\d{2}\.[A-Z0-9]{20,}\.[A-Z0-9]{20,}",
    r"gl(?:c|sa)_[A-Za-z0-9+/=_]{20,}",
    r"NR(?:AK|AL|II|IQ|JS|SP|RA|BR)-[\w\-]{16,}",
    r"sntry[su]_[\w+/=\-]{20,}",
    r"PMAK-[a-f0-9\-]{24,}",
    r"lin_(?:api|oauth)_[A-Za-z0-9]{20,}",
    r"ntn_[A-Za-z0-9]{24,}",
    r"secret_[A-Za-z0-9]{43}",
    r"pscale_(?:tkn|pw|oauth|pass)_[\w\-=.]{20,}",
    r"pn[ub]_[A-Za-z0-9]{30,}",
    r"pul-[a-f0-9]{30,}",
    r"rdme_[a-z0-9]{40,}",
    r"tk-us-[\w\-]{30,}",
    r"tfp_[\w\-.=]{40,}",
    r"pat[A-Za-z0-9]{14}\.[a-f0-9]{40,}",
    r"[ps]k\.[a-zA-Z0-9]{40,}\.[\w\-]{16,}",
    r"figd_[\w\-]{30,}",
    r"sl\.[\w\-]{60,}",
    r"[a-z0-9]{11}AAAAAAAAAA[\w\-=]{40,}",
    r"[12]/\d{15,}(?:/\d{15,})?:[a-f0-9]{32}",
    r"00[\w\-]{40}\b",
    r"4b1d[A-Za-z0-9]{38}",
    r"[a-f0-9]{36}NRAL",
    r"mdb_sa_sk_[\w\-]{24,}",
    r"aivenv1_[A-Za-z0-9]{30,}",
    r"BBFF-[A-Za-z0-9]{24,}",
    r"CFPAT-[\w\-]{30,}",
    r"fio-u-[\w\-=]{30,}",
    r"p8e-[A-Za-z0-9]{24,}",
    r"ico-[A-Za-z0-9]{24,}",
    r"s-s4t2(?:ud|af)-[0-9a-f]{40,}",
    r"sm_(?:aat|pat|sat)_[A-Za-z0-9]{12,}",
    r"dnkey-[\w\-=]{20,}",
    r"API-[A-Z0-9]{26}",
    r"(?:pat|sat)\.[\w\-]{22}\.[0-9a-f]{24}\.[A-Za-z0-9]{20}",
    r"(?:sdk|mob|api)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    r"(?:scauth|authress|ext|sc)_[a-zA-Z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_\-][A-Za-z0-9\-]{10,32}\.[A-Za-z0-9+/_=\-]{30,}",
    r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk",
    r"A3-[A-Z0-9]{6}-[A-Z0-9\-]{20,}",
    r"ops_eyJ[\w+/=\-]{40,}",
    r"v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}",
    r"AGE-SECRET-KEY-1[0-9A-Z]{20,}",
    r"tskey-[a-z]+-[\w\-]{12,}",
    r"2[A-Za-z0-9]{26}_[A-Za-z0-9]{20,}",
    r"LDAP-[A-Za-z0-9]{20}",
    r"phc_[A-Za-z0-9]{32,}",
    r"phx_[A-Za-z0-9]{32,}",
    r"ak_[A-Za-z0-9]{32,}",
    r"sbp_[a-f0-9]{32,}",
    r"sb_secret_[\w\-]{16,}",
    r"vc[pkr]_[A-Za-z0-9]{20,}",
    r"nfp_[A-Za-z0-9]{24,}",
    # signed and hashed
    r"eyJ[\w\-]{5,}\.[\w\-]{4,}(?:\.[\w\-+/=]*)*",
    r"eyJ[\w\-+/=]{24,}",
    r"ZXlK[\w+/=\-]{24,}",
    r"\$(?:1|2[abxy]|5|6|7|y|argon2(?:id|i|d)|apr1|scrypt|pbkdf2[\w\-]*)\$[\w./$+,=\-]{12,}",
)
"""Formats of tokens, by the kind of their vendor. Case matters: a prefix in another case is another word."""


_HOOKS: Final = (
    r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w+/\-]{8,})",
    r"(?:discord(?:app)?\.com/api/webhooks)/([\w\-/]{8,})",
    r"webhook\.office\.com/webhookb2/([\w@\-/]{16,})",
    r"api\.telegram\.org/bot([\w:\-]{16,})",
    r"hooks\.zapier\.com/hooks/catch/([\w/]{6,})",
    r"//([0-9a-f]{32})(?::[0-9a-f]+)?@[\w.\-]*sentry",
    r"chat\.googleapis\.com/v1/spaces/[\w\-]+/messages\?([\w\-=&%]{16,})",
)
"""Secrets in the path of a web hook, where only the address gives them away. The group is the secret."""


KNOWN_FORMS_GATE: Final = (
    r"(?-i:(?:A3T|AKIA|ASIA|ABIA|ABSK|ACCA|AROA|AIDA|ANPA|ANVA|AIza|GOCSPX-|ya29\.|LTAI|AKID|AQVN|YC[\w-]|t1\.[A-Za-z0-9_-]+=*\.|"
    r"do[opr]_v1_|\dQ~|HRKU-|fo1_|fm[12][ar]?_|rnd_|LSK[A-Z0-9]|SCW[A-Z0-9]|sha256~|SWMTKN|\b(?:ac|tk)-[0-9a-f]|K10[0-9a-f]|gh[pousr]_|github_pat_|"
    r"\bgl[a-z]+-|GR1348941|ATATT3|ATCTT3|ATBB|BBDC-|bedrock-api|1//0|reftkn|bk[ua]a_|vercel_|npm_|pypi-A|rubygems_|CLOJARS_|oy2|AKCp|cmVmdGtu|sgph?_|sq[uap]_|dckr_|CCIPAT_|"
    r"[srp]k_(?:live|test|prod)_|whsec_|sq0|EAAA|access_token\$|FLW|duffel_|live_|test_|shippo_|shp[a-z][a-z]_|EZ[AT]K|"
    r"access-(?:sandbox|development|production)-|sk-|hf_|api_org_|gsk_|r8_|xai-|pplx-|nvapi-|xox[a-z]|xapp-|SG\.|xkeysib|xsmtpsib|"
    r"key-[0-9a-f]|[0-9a-f]-us\d|\b(?:SK|AC)[0-9a-fA-F]+[0-9]|\d:A|\d\|[\w-]|\bre_|rzp_|sk_[a-f0-9]|lsv2_|pcsk_|esecret_|[MNO][\w-]+\.[\w-]+\.[\w-]|EAA[MC]|AAAAAAAAAA|"
    r"hv[sbr]\.|\b[sbr]\.[A-Za-z0-9]|atlasv1|dapi[0-9a-f]|dp\.[a-z]|dt0[a-z]|glc_|glsa_|NR[A-Z][A-Z]-|sntry|PMAK-|lin_|ntn_|secret_|"
    r"pscale_|pn[ub]_|pul-|rdme_|tk-us-|tfp_|"
    r"\bpat[A-Za-z0-9]+\.[a-f0-9]|[ps]k\.[a-zA-Z0-9]|figd_|\bsl\.|\b[12]/\d|\b00[\w-]|4b1d|NRAL|mdb_sa|aivenv|BBFF-|CFPAT-|fio-u-|p8e-|ico-|s-s4t2|sm_|dnkey-|API-|(?:pat|sat)\.|(?:sdk|mob|api)-[0-9a-f]|"
    r"\.acc[_-]|_mmk|A3-|ops_eyJ|v1\.0-|AGE-SECRET|tskey-|\b2[A-Za-z0-9]+_[A-Za-z0-9]|LDAP-|ph[cx]_|ak_|sb_|sbp_|vc[pkr]_|nfp_|eyJ|ZXlK|"
    r"\$(?:1|2[abxy]|5|6|7|y|argon2|apr1|scrypt|pbkdf2)[a-z0-9\-]*\$|hooks\.|api/webhooks|webhook\.office|api\.telegram|"
    r"//[0-9a-f]+(?::[0-9a-f]+)?@|chat\.googleapis))"
)
"""The fixed part of every format above, as short as other words allow."""

SCHEME_GATE: Final = r"(?:\A|[^a-z])(?:bearer|basic)\s+[a-z0-9+/_]"
"""An authorization scheme and the beginning of a credential."""

PEM_GATE: Final = r"-----BEGIN|PuTTY-User-Key|BEGIN (?:[A-Z]+ )*PRIVATE KEY"
"""The first line of a key block, or enough of it that its end may be missing."""


MANIFEST_GATE: Final = r"kind[\"']?\s*:\s*[\"']?secret"
"""The kind of a Kubernetes Secret, in YAML or JSON."""


_TOKEN = grouped(r"\b(?:" + "|".join(_TOKENS) + r")|(?:\A|[^\w$])(\$(?:1|2[abxy]|5|6|7|y|apr1)\$[\w./$+,=\-]{8,})")
"""Any of the formats where a word begins. `$` is not part of a word, so hashes of passwords have an alternative of
their own, whose group they are."""

_CUT_OFF = compiled(
    r"\b(?:(?:A3T[A-Z0-9]|AKIA|ASIA)[A-Z0-9]*|AIza[\w\-]*|gh[pousr]_\w*|github_pat_\w*|gl[a-z]+-[\w\-]+|npm_\w+|pypi-A\S*|xox[a-z]-\S*"
    r"|[srp]k_(?:live|test)_\w*|sk-[\w\-]{4,}|hv[sbr]\.\S*|SG\.\S*|eyJ[\w\-.]*)\z"
)
"""The beginning of a token at the very end of a text that was cut off, however short."""

_KIND = compiled(MANIFEST_GATE, ignore_case=True, captures=False)
"""The same as its gate, to search the part of the text that is looked at."""

_DATA = compiled(r"\b(?:data|stringdata)[\"']?\s*:", ignore_case=True)
"""The key of a Secret's data: what follows are its entries. `metadata:` is not it."""

_ENTRY = grouped(r"[\"']?[\w.\-]+[\"']? *: +[\"']?([^\s\"'{}|>,]{4,})|\"[\w.\-]+\":\"([^\s\"]{4,})")
"""One entry of data, as YAML or as JSON writes it. The group is its value."""

_HOOK = grouped("|".join(_HOOKS))
"""Any of the web hooks."""

_SCHEME = grouped(r"\b(?:bearer|basic)\s+([a-z0-9+/_][a-z0-9._~+/\-]{7,}=*)", ignore_case=True)
"""A credential behind its scheme, outside of a header. The group is the credential: 8 characters or more."""

_PEM = compiled(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"|-----BEGIN (?:OPENSSH|RSA|DSA|EC|PGP|ENCRYPTED|SSH2)(?: [A-Z0-9 ]*)?PRIV[A-Z -]*"
    r"|PuTTY-User-Key-File-\d"
)
"""The line that begins a private key: of PEM, of SSH and PGP with words missing, of PuTTY."""

_PEM_END = compiled(r"-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|Private-MAC: ?[0-9a-f]*")
"""The line that ends a private key."""


EXAMPLES: Final = {
    "KNOWN_FORMS_GATE": ("npm_" + "a1", "npm install"),
    "SCHEME_GATE": ("Bearer a1", "Bearer: a1"),
    "PEM_GATE": ("-----BEGIN" + " RSA PRIVATE KEY", "-----END CERTIFICATE-----"),
    "MANIFEST_GATE": ("kind: Secret", "kind: ConfigMap"),
    "_TOKEN": ("npm_" + "a1" * 10, "npm_" + "a1"),
    "_CUT_OFF": ("login npm_" + "a1", "login npm_" + "a1 -q"),
    "_KIND": ("kind: Secret", "kind: ConfigMap"),
    "_DATA": ("data: {user: ann}", "metadata: {user: ann}"),
    "_ENTRY": ("user: hunter2", "user: ann"),
    "_HOOK": ("https://hooks.zapier.com/hooks/catch/" + "1234567", "https://hooks.zapier.com/"),
    "_SCHEME": ("Bearer a1b2c3d4", "Bearer a1"),
    "_PEM": ("-----BEGIN" + " RSA PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----"),
    "_PEM_END": ("-----END" + " RSA PRIVATE KEY-----", "-----END CERTIFICATE-----"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them).

What looks like a token is put together here, or scanners of repositories would report this file.
"""


def known_tokens(scan: Scan) -> list[Mask]:
    """Masks over tokens of a known form."""
    masks = [
        Mask(start, end, REDACTED, "token")
        for start, end in scan.groups(_TOKEN)
        if not _is_title(scan.text, start, end)
    ]
    masks += [Mask(start, end, REDACTED, "webhook") for start, end in scan.groups(_HOOK)]
    return masks


def _is_title(text: str, start: int, end: int) -> bool:
    """Whether what begins with two zeros is a numbered title: `0001-rename-a-to-b.patch`."""
    return text.startswith("00", start) and text.count("-", start, end) > 2 and text[end : end + 1] == "."


def cut_off_tokens(scan: Scan) -> list[Mask]:
    """The mask of a token at the end of a truncated text, too short for its form because it was cut off."""
    return [Mask(start, end, REDACTED, "token") for start, end in scan.matches(_CUT_OFF)]


def scheme_credentials(scan: Scan) -> list[Mask]:
    """Masks over what follows `Bearer` and `Basic` outside of a header; ordinary words after them stay."""
    masks = []
    for start, end in scan.groups(_SCHEME):
        value = scan.text[start:end]
        if len(value) >= 20 or any(map(str.isdigit, value)) or value != value.lower():
            masks.append(Mask(start, end, REDACTED, "header"))
    return masks


def secret_objects(scan: Scan) -> list[Mask]:
    """Masks over the values of a Kubernetes Secret's data, whatever they are called; its metadata stays."""
    data = _DATA.search(scan.encoded)
    if data is None or _KIND.search(scan.encoded) is None:
        return []
    masks = []
    for start, end in scan.groups(_ENTRY):
        if start >= data[0][1]:
            masks.append(Mask(start, end, REDACTED, "secret-object"))
    return masks


def private_keys(scan: Scan) -> list[Mask]:
    """Masks over private key blocks, from the line that begins one to the line that ends it."""
    masks: list[Mask] = []
    for start, end in scan.matches(_PEM):
        if masks and start < masks[-1].end:
            continue
        ending = _PEM_END.search(scan.encoded, end)
        masks.append(Mask(start, ending[0][1] if ending is not None else len(scan.text), REDACTED, "private-key"))
    return masks
