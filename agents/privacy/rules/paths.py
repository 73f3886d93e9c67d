"""Paths: the owner's name goes from a home, and the file's name from a credential; the place stays.

`/home/alice/x` becomes `~/x`, `/home/alice/.ssh/id_rsa` becomes `~/.ssh/[credential]`, wherever the path stands:
alone, in an argument, behind `--key=`, in a `file://` address. A credential file keeps its folder, so that a reader
still sees what kind of credential was touched. `/root` does not name a person and stays. Public halves (`*.pub`,
`known_hosts`, `authorized_keys`) are not credentials.
"""

from collections.abc import Callable
from typing import Final

from agents.privacy.matching.gate import compiled
from agents.privacy.matching.masks import CREDENTIAL, REDACTED, Mask
from agents.privacy.matching.scan import Scan, grouped
from agents.privacy.rules.vocabulary import word_set

_HOMES: Final = (
    r"(?:/(?:var|export|usr|data|mnt|srv|net|nfs|exports|volumes?|storage|u|opt|host|hostfs|rootfs"
    r"|vol\d*)(?:/[a-z0-9_.\-]+)?)?/home\d*"
    r"|(?-i:(?:/mnt)?(?:/[a-z])?/Users)|[a-z]:(?:\\\\?|/)users|[a-z]:(?:\\\\?|/)documents and settings|\\\\users"
    r"|/afs/[a-z0-9.\-]+/(?:user|home|u)(?:/[a-z]/[a-z]{1,2})?|/(?:nfs|net|export)(?:/[a-z0-9_.\-]+)?/users?"
    r"|/drive_[a-z]/users"
)
"""Folders whose children are homes, on Linux, macOS, Windows, Wine, AFS, on servers and below containers' roots."""

_DOMAIN: Final = (
    r"(?:(?-i:[A-Z][A-Z0-9\-]+)[/\\]+"
    r"|(?:[a-z0-9\-]+\.)+(?:com|net|org|local|lan|corp|intern|internal|int|ad|eu|gov|edu|mil)[/\\]+)?"
)
"""The domain of a home's owner, where homes stand by domain: capitals, or a name of the DNS."""

_JOIN: Final = r"(?:/+(?:\./+)*|\\\\?)"
"""What stands between the folder of homes and a name, however it is spelled."""

_OWNED: Final = (
    r"/run/user|/var/spool/cron/crontabs|/var/spool/cron(?:/tabs)?|/var(?:/spool)?/mail|/run/media|/media"
    r"|/var/lib/AccountsService/(?:users|icons)|/var/db/dslocal/nodes/default/users|/var/lib/systemd/linger"
    r"|/var/cache/krb5cc|/var/lib/samba/private/msg\.sock|/(?:var/lib|run|var/run)/sudo/(?:lectured|ts)"
)
"""System folders that have one entry for each user, named after the user."""


HOME_GATE: Final = (
    r"/home\d*[/\\]+[^/\\]|(?-i:/Users/+[^/])|(?:[a-z]:[/\\]|[/\\])+users[/\\]+[^/]|documents and settings|/afs/"
)
"""A folder of homes and the beginning of a name behind it."""

OWNED_GATE: Final = (
    r"/run/user/|/var/(?:spool/)?(?:cron|mail)/|/media/[a-z]|accountsservice/|dslocal/|systemd/linger/|/sudo/"
)
"""The rarest part of each system folder with entries for users."""

MAPPING_GATE: Final = r"\A\[|/memfd:[^\[]"
"""A module in brackets, or a memory file whose name is not one of the kernel's."""

TILDE_GATE: Final = r"(?:\A|[\s\"'=:,;(@])~[a-z_]"
"""`~` and a letter, where an argument or a part of one begins."""


_ROOTS: Final = ("/root", "/rootfs", "/host", "/hostfs", "/merged", "/diff", "/fs")  # where another root begins
_NAME: Final = r"[^/\\\s\"'`:;,|&<>()=?#\]}\[{]+"
"""A name in a path, up to whatever ends a path inside of an argument."""

_SPACED_NAME: Final = r"[^/\\\"'`:;|<>=\n]+"
"""The same for a text that is one path, whose names may hold spaces."""

_HOME = compiled(rf"(?:{_HOMES}){_JOIN}{_DOMAIN}{_NAME}", ignore_case=True, captures=False)
"""A home with its owner's name."""

_SPACED_HOME = compiled(rf"(?:{_HOMES}){_JOIN}{_DOMAIN}{_SPACED_NAME}", ignore_case=True, captures=False)
"""The same for a text that is one path."""

_OWNED_ENTRY = compiled(rf"(?:{_OWNED})/{_NAME}", ignore_case=True, captures=False)
"""A system folder with the name of a user."""

_TILDE = grouped(r"(?:\A|[\s\"'=:,;(@])(~[a-z_][\w.\-]*)(?:[/\\:\s\"',;)]|\z)", ignore_case=True)
"""`~user` where an argument or a part of one begins. The group is the home."""


_FOLDERS: Final = (
    r"\.ssh|\.gnupg|\.password-store|\.aws/(?:sso|cli)/cache|\.azure|\.config/gcloud|\.kube/cache"
    r"|\.docker/contexts|\.pki"
    r"|\.config/(?:op|doctl|hcloud|rclone|hub|github-copilot|keybase)|\.local/share/keyrings|Library/Keychains"
    r"|\.terraform\.d"
    r"|\.minikube/profiles|(?:/etc)?/ssl/private|/etc/kubernetes/pki|/var/lib/kubelet/pki|/var/lib/docker/swarm"
    r"|/var/run/secrets/[\w.]+/[\w\-]+|/run/secrets/(?:kubernetes\.io|eks\.amazonaws\.com|azure)/[\w\-]+"
    r"|/etc/letsencrypt/(?:archive|keys)|/var/lib/sss/(?:db|secrets)|/etc/ipsec\.d/private|/etc/wireguard"
    r"|/run/secrets|/vault/secrets|kubernetes\.io~(?:secret|projected)/[\w.\-]+"
    r"|/etc/NetworkManager/system-connections|/etc/pki/tls/private|\.electrum|\.bitcoin|\.ethereum/keystore"
)
"""Folders in which every name is a credential's."""

_PUBLIC: Final = word_set("""
    known_hosts known_hosts.old config authorized_keys environment rc sockets namespace
""")
_PUBLIC_ENDINGS: Final = (".pub", ".crt", ".cert", ".csr", ".cer")
_CERTIFICATE_WORDS: Final = word_set("""
    cert chain bundle ca.pem cacert root public pub.pem dhparam ca- -ca
""")

_FILES: Final = (
    r"\.aws/(?:credentials|config)|\.kube/config|\.docker/config\.json|\.dockercfg|\.?_?netrc|\.pgpass"
    r"|pgpass\.conf|\.my\.cnf"
    r"|\.mylogin\.cnf|\.git-credentials|\.config/git/credentials|\.config/gh/hosts\.yml|\.config/glab-cli/config\.yml"
    r"|\.config/containers/auth\.json|containers/auth\.json|\.npmrc|\.yarnrc\.yml|\.pypirc|\.gem/credentials"
    r"|\.cargo/credentials(?:\.toml)?|\.m2/settings(?:-security)?\.xml"
    r"|\.gradle/gradle\.properties|\.vault-token|\.terraformrc|credentials\.tfrc\.json|\.s3cfg|\.boto"
    r"|\.passwd-s3fs|\.rclone\.conf"
    r"|\.htpasswd|\.htdigest|\.smbcredentials|\.cifs(?:credentials)?|\.msmtprc|\.fetchmailrc|\.mutt/password"
    r"|application_default_credentials\.json|service[_\-]?account[\w\-]*\.json|client_secrets?[\w\-.]*\.json"
    r"|credentials\.(?:json|csv|xml|db|yml|yaml|properties)"
    r"|/etc/g?shadow-?|/etc/master\.passwd|/etc/security/opasswd|/etc/krb5\.keytab|/etc/ppp/(?:chap|pap)-secrets"
    r"|/etc/ipsec\.secrets|/etc/wpa_supplicant[\w/\-]*\.conf|/etc/kubernetes/[\w\-]+\.conf"
    r"|/etc/rancher/(?:k3s/k3s|rke2/rke2)\.yaml|/etc/sudoers\.ldap|/etc/openldap/slapd\.conf"
    r"|/var/lib/rancher/k3s/server/(?:node-)?token|ssh_host_\w+_key|id_(?:rsa|dsa|ecdsa|ecdsa_sk|ed25519"
    r"|ed25519_sk|xmss)[\w\-.]*"
    r"|logins\.json|key[34]\.db|signons\.sqlite|cookies\.sqlite|login data|wallet\.dat|secring\.gpg|ntds\.dit"
    # settings, caches of tickets, state, and what people typed or a browser keeps
    r"|\.env(?:\.(?:local|dev|development|prod|production|staging|test))?|krb5cc[\w.\-]*|terraform\.tfstate(?:\.backup)?"
    r"|debian\.cnf|sasl_passwd(?:\.db)?"
    r"|\.vault_pass(?:word)?|vault_pass(?:word)?\.txt|\.credentials\.json|web data|(?-i:Cookies)"
    r"|\.(?:bash|zsh|sh|ash|ksh|mysql|psql|sqlite|python|rediscli|node_repl|irb|pry|mongorepl|dbshell)_?(?:history|hist)"
    r"|\.histfile|\.dbshell"
)
"""Files that hold credentials under a name of their own, wherever they lie."""

_KEY_FILE: Final = (
    r"[\w+%@~\-][\w.+%@~\-]*\.(?:key|keytab|p12|pfx|jks|jceks|keystore|kdbx?|ppk|p8|pkcs12|asc\.key|gpg-key|ovpn"
    r"|kwallet|pem)"
)
"""Names with an ending of key files. `.pem` may also be a certificate; `_is_certificate` tells the two apart."""


FOLDER_GATE: Final = (
    r"\.(?:ssh|gnupg|password-store|aws/(?:sso|cli)|azure|kube/cache|docker/contexts|pki|minikube/profiles"
    r"|terraform\.d|electrum"
    r"|bitcoin|ethereum|config/(?:gcloud|op|doctl|hcloud|rclone|hub|github-copilot|keybase)|local/share/keyrings)[/\\]"
    r"|library/keychains/|ssl/private/|/etc/kubernetes/pki/|kubelet/pki/|docker/swarm/|/secrets/|kubernetes\.io~"
    r"|letsencrypt/"
    r"|/sss/|ipsec\.d/|wireguard/|system-connections/|tls/private/"
)
"""The rarest part of each folder of credentials, with what must follow it."""

FILE_GATE: Final = (
    r"\.(?:aws/c|kube/config|docker/config|dockercfg|netrc|pgpass|my\.cnf|mylogin|git-credentials|npmrc|yarnrc"
    r"|pypirc|gem/cred"
    r"|cargo/cred|m2/settings|gradle/g|vault-token|terraformrc|s3cfg|boto|passwd-s3|rclone\.conf|htpasswd"
    r"|htdigest|smbcred|cifs"
    r"|msmtprc|fetchmailrc|mutt/|config/(?:git/|gh/|glab|containers/))|_netrc|pgpass\.conf|containers/auth|tfrc\.json"
    r"|application_default_c|service[_\-]?account[a-z0-9_\-]*\.json|client_secret|credentials\.[a-z]"
    r"|/etc/g?shadow|master\.passwd|opasswd|krb5\.keytab"
    r"|[cp]h?ap-secrets|ipsec\.secrets|wpa_supplicant|k3s|rke2|sudoers\.ldap|slapd\.conf|ssh_host_|id_(?:rsa"
    r"|dsa|ecdsa|ed25519|xmss)"
    r"|/etc/kubernetes/|logins\.json|key[34]\.db|signons|cookies\.sqlite|login data|wallet\.dat|secring|ntds\.dit"
    r"|\.env(?:[\s\"'`:;,)}\]<>|&?*.]|\z)|krb5cc|\.tfstate|debian\.cnf|sasl_passwd|vault_pass|\.credentials\."
    r"|web data|(?-i:Cookies)"
    r"|\.[a-z_]+_?hist|\.dbshell"
)
"""The rarest part of each credential file's name."""

KEY_FILE_GATE: Final = (
    r"[a-z0-9_+%@~.\-]\.(?:key|keytab|p12|pfx|jks|jceks|keystore|kdbx?|ppk|p8|pkcs12|ovpn|kwallet|gpg-key|pem)"
    r"(?:[\s\"'`:;,)}\]<>|&?*]|\z)"
)
"""An ending of key files, and the end of the path."""

ENVIRON_GATE: Final = r"/environ(?:[\s\"'`:;,)}\]<>|&?*]|\z)"
"""`/environ` at the end of a path: looser than the rule, which wants `/proc` before it."""


_BORDER: Final = r"(?:\A|[/\\\s\"'`=:,;(@{\[~<>|&])"
"""What stands before a path: the beginning of the text, or a character that ends the word before."""

_END: Final = r"(?:[\s\"'`:;,)}\]<>|&?*]|\z)"
"""What stands behind a path."""

_IN_FOLDER = grouped(rf"(?:{_FOLDERS})[/\\]([^\s\"'`:;,)}}\]<>|&]+)", ignore_case=True)
"""A name in a folder of credentials. The group is the rest of the path."""

_NAMED_FILE = grouped(rf"{_BORDER}((?:{_FILES})){_END}", ignore_case=True)
"""A credential file. The group is its name, for some with the folders before it."""

_KEYS = grouped(rf"{_BORDER}({_KEY_FILE}){_END}", ignore_case=True)
"""A key file. The group is its name."""

_ENVIRON = grouped(rf"/proc/(?:\d+|self|thread-self|\*|\$+\w*)(?:/task/\d+)?/(environ){_END}")
"""The environment of a process, of a thread, or of whatever a shell puts in for `$$`. The group is `environ`."""


_MEMORY_FILE = grouped(r"/memfd:([^\[\s][^\s\"'`]*)")
"""The name of a memory file, which its process chose. The group is the name."""

_MAPPING = compiled(r"\[[\w.\-]+\]", captures=False)
"""A kernel module's name, or a name that the kernel gives to a mapping."""


EXAMPLES: Final = {
    "_HOMES": ("/home/ann", "/root"),
    "_OWNED": ("/run/user/1000", "/run/lock"),
    "HOME_GATE": ("/home/ann", "/home"),
    "OWNED_GATE": ("/run/user/1000", "/run/lock"),
    "MAPPING_GATE": ("/memfd:blob", "/memfd:[blob]"),
    "TILDE_GATE": ("ls ~ann", "ls ~/src"),
    "_JOIN": ("//./", "x"),
    "_FOLDER_OF_HOMES": ("/home/ann", "/home"),
    "_NAME": ("ann", "/"),
    "_SPACED_NAME": ("ann lee", "/"),
    "_HOME": ("/home/ann", "/home/"),
    "_SPACED_HOME": ("/Users/ann lee/src", "/Users/"),
    "_OWNED_ENTRY": ("/run/user/1000", "/run/user/"),
    "_TILDE": ("ls ~ann/src", "ls ~/src"),
    "_FOLDERS": ("~/.ssh", "/etc/ssh"),
    "_FILES": ("~/.netrc", "/etc/hosts"),
    "_KEY_FILE": ("server.key", "server.crt"),
    "FOLDER_GATE": ("~/.ssh/deploy", "/etc/ssh/moduli"),
    "FILE_GATE": ("~/.netrc", "/etc/hosts"),
    "KEY_FILE_GATE": ("tls/server.key", "tls/server.keys"),
    "ENVIRON_GATE": ("cat /proc/7/environ", "cat /proc/7/status"),
    "_IN_FOLDER": ("~/.ssh/deploy", "~/.ssh/"),
    "_NAMED_FILE": ("cat ~/.netrc", "cat ~/.netrc.d"),
    "_KEYS": ("cat tls/server.key", "cat tls/server.keys"),
    "_ENVIRON": ("cat /proc/self/environ", "cat /srv/environ"),
    "_MEMORY_FILE": ("/memfd:blob", "/memfd:[blob]"),
    "_MAPPING": ("[vdso]", "[anon:a name]"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

Owner = Callable[[str], str]
"""What replaces the home of a user: `~`, or a pseudonym if the policy chooses them."""


def homes(scan: Scan, owner: Owner, *, spaced: bool) -> list[Mask]:
    """Masks over homes with their owners; `spaced` if the text is one path, whose names may hold spaces."""
    masks = []
    text = scan.text
    for start, end in scan.matches(_SPACED_HOME if spaced else _HOME):
        folder = _FOLDER_OF_HOMES.search(scan.encoded, start, end)
        last = (folder[0][1] if folder is not None else start) - 1
        # a home below another folder stays below it
        inner = start > 0 and text[start] == "/" and (text[start - 1].isalnum() or text[start - 1] in "_.-~]")
        masks.append(Mask(start + inner, end, owner(_owner_name(text[last + 1 : end])), "home"))
    return masks


def _owner_name(path: str) -> str:
    """The owner of a home with the domain, as users are named: `CORP\\ann` of `CORP/ann`."""
    return path.replace("\\\\", "\\").replace("/", "\\").lstrip("\\")


_FOLDER_OF_HOMES = compiled(rf"(?:{_HOMES}){_JOIN}", ignore_case=True, captures=False)
"""A folder of homes, up to the name."""


def owned_entries(scan: Scan) -> list[Mask]:
    """Masks over users' names in system folders that have an entry for each user."""
    masks = []
    for start, end in scan.matches(_OWNED_ENTRY):
        first = scan.text.rfind("/", start, end) + 1
        if not scan.text.startswith("root", first) and not _is_inner_media(scan.text, start):
            masks.append(Mask(first, end, "[user]", "home"))
    return masks


def _is_inner_media(text: str, start: int) -> bool:
    """Whether the `/media` at `start` is a folder of some program below another folder, and not where disks appear."""
    if not text.startswith("/media/", start) or not text[max(0, start - 1)].isalnum():
        return False
    return not text.endswith(_ROOTS, 0, start)


def tilde_homes(scan: Scan, owner: Owner) -> list[Mask]:
    """Masks over `~user`."""
    return [
        Mask(start, end, owner(scan.text[start + 1 : end]), "home")
        for start, end in scan.groups(_TILDE)
        if not _is_option_value(scan.text, start, end)
    ]


def _is_option_value(text: str, start: int, end: int) -> bool:
    """Whether the bare word `~name` is a field or a state in the value of an option: `--sort-by=a,~b`."""
    if text[end : end + 1] in {"/", "\\", ":"}:
        return False
    option = text[max(0, start - 48) : start].rstrip(" =").rpartition(" ")[2].partition("=")[0]
    return option.startswith("--") and any(word in option for word in _FIELD_OPTIONS)


_FIELD_OPTIONS: Final = ("sort", "order", "state", "filter", "field", "column")


def memory_files(scan: Scan) -> list[Mask]:
    """Masks over names of memory files, which a process makes up and which may hold anything."""
    return [Mask(start, end, REDACTED, "mapping") for start, end in scan.groups(_MEMORY_FILE)]


def is_mapping_or_path(text: str) -> bool:
    """Whether a module in brackets is a name; what a process made up (`[anon:anything]`) is not."""
    return not text.startswith("[") or (text.isascii() and _MAPPING.is_whole(text.encode()))


def in_credential_folders(scan: Scan) -> list[Mask]:
    """Masks over names below folders that hold nothing but credentials."""
    masks = []
    for start, end in scan.groups(_IN_FOLDER):
        name = scan.text[start:end].rstrip("/")
        if name and name not in _PUBLIC and not name.endswith(_PUBLIC_ENDINGS):
            masks.append(Mask(start, start + len(name), CREDENTIAL, "credential-path"))
    return masks


def credential_files(scan: Scan) -> list[Mask]:
    """Masks over names of files that are credentials by their own name."""
    return [
        _file_name(scan.text, start, end)
        for start, end in scan.groups(_NAMED_FILE)
        if not scan.text.endswith(_PUBLIC_ENDINGS, start, end)
    ]


def key_files(scan: Scan) -> list[Mask]:
    """Masks over names of key files, without certificates."""
    return [
        _file_name(scan.text, start, end)
        for start, end in scan.groups(_KEYS)
        if not _is_certificate(scan.text, start, end) and not _is_field(scan.text, start, end)
    ]


def _is_field(text: str, start: int, end: int) -> bool:
    """Whether `e.key` is a field of an object in another language's text, and not a file."""
    if not text.endswith(".key", start, end):
        return False
    behind = text[end : end + 2]
    return end - start < 6 or text.endswith("=>", 0, start) or (behind[:1] == ":" and behind[1:].isalpha())


def environments(scan: Scan) -> list[Mask]:
    """Masks over `environ` in /proc/PID/environ, which holds the environment of a process."""
    return [Mask(start, end, CREDENTIAL, "credential-path") for start, end in scan.groups(_ENVIRON)]


def _file_name(text: str, start: int, end: int) -> Mask:
    """The last component of the path `text[start:end]`."""
    first = max(text.rfind("/", start, end), text.rfind("\\", start, end)) + 1
    return Mask(max(first, start), end, CREDENTIAL, "credential-path")


def _is_certificate(text: str, start: int, end: int) -> bool:
    """Whether a `.pem` holds certificates by its name and folder, and no key."""
    name = text[start:end].lower()
    if name.endswith(".pem") and text.endswith(("/etc/ssl/certs/", "/ca-certificates/"), 0, start):
        return True
    if not name.endswith(".pem") or "key" in name or "priv" in name:
        return False
    folder = text[max(0, start - 48) : start].lower().rpartition(" ")[2]
    return any(word in name for word in _CERTIFICATE_WORDS) or "cert" in folder or "/ca/" in folder or name == "ca.pem"
