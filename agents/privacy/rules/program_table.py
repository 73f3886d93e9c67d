"""The table of programs: which short options and which positions of which programs hold a secret.

`-p` is a password to sshpass, a port to ssh and a folder's parents to mkdir, so short options mean something only
beside their program. Long options that say what they are (`--password`) need no entry here; those that do not, do.
Entries come from the programs' manuals.
"""

import enum
from dataclasses import InitVar, dataclass, field
from typing import Final


class Form(enum.Enum):
    """How a program takes the value of an option, and which part of it is secret."""

    ATTACHED = "attached"  # -pVALUE only: alone it asks at the terminal
    EITHER = "either"  # -p VALUE or -pVALUE
    NEXT = "next"  # -word VALUE
    PAIR = "pair"  # as EITHER, a value `user:secret`, secret behind the first colon
    PERCENT = "percent"  # as EITHER, `user%secret`
    LITERAL = "literal"  # as EITHER, `name=secret`
    COMMA = "comma"  # as EITHER, `user,secret`
    SLASHED = "slashed"  # /p:VALUE
    SKIPPED = "skipped"  # as EITHER, a value that is not secret and takes no position
    TYPED = "typed"  # as NEXT, `pass:VALUE`; what begins with file:, env:, fd: or is stdin names a place


_ATTACHING: Final = frozenset({Form.EITHER, Form.PAIR, Form.PERCENT, Form.COMMA, Form.LITERAL, Form.SKIPPED})


@dataclass(frozen=True, slots=True)
class Position:
    """The secret is word `index` (from 0, options not counted) behind the words `after`, and what follows if `rest`.

    With `flag`, only if the command line has an option with that letter.
    """

    after: tuple[str, ...]
    index: int
    rest: bool = False
    flag: str = ""
    separator: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """Secrets of one program; `options` are pairs of an option as written and its form.

    `needs` is a word that must stand before the option counts (`docker login`); `clustered` are letters that may
    stand before a short option in one word (`-sSu`); `keywords` are bare words whose next word is secret.
    `forms`, `slashed` and `attachable` are the options again, as the walk looks them up.
    """

    options: InitVar[tuple[tuple[str, Form], ...]] = ()
    positions: tuple[Position, ...] = ()
    needs: tuple[str, ...] = ()
    clustered: str = ""
    keywords: tuple[str, ...] = ()
    forms: dict[str, Form] = field(init=False)
    slashed: tuple[str, ...] = field(init=False)
    attachable: tuple[str, ...] = field(init=False)

    def __post_init__(self, options: tuple[tuple[str, Form], ...]) -> None:
        forms = {option: form for option, form in options if form is not Form.SLASHED}
        attachable = (o for o, form in forms.items() if form is Form.ATTACHED or (len(o) == 2 and form in _ATTACHING))
        object.__setattr__(self, "forms", forms)
        object.__setattr__(self, "slashed", tuple(option for option, form in options if form is Form.SLASHED))
        object.__setattr__(self, "attachable", tuple(attachable))


def _options(form: Form, *names: str) -> tuple[tuple[str, Form], ...]:
    return tuple((name, form) for name in names)


_E, _N = Form.EITHER, Form.NEXT

_MYSQL: Final = Program(_options(Form.ATTACHED, "-p"))
_DOCKER: Final = Program(
    _options(_E, "-p") + _options(Form.PAIR, "--creds", "--src-creds", "--dest-creds"), needs=("login",)
)
_SEVEN_ZIP: Final = Program(_options(Form.ATTACHED, "-p"))
_RAR: Final = Program(_options(Form.ATTACHED, "-p", "-hp"))
_ZIP: Final = Program(_options(_E, "-P"), clustered="rq0123456789jmuovTyxFeDflnkwz")
_SQLCMD: Final = Program(_options(_E, "-P"))
_CURL: Final = Program(
    _options(Form.PAIR, "-u", "--user", "-U", "--proxy-user", "-E", "--cert", "--proxy-cert")
    + _options(_E, "-b", "--cookie", "--pass", "--proxy-pass", "--oauth2-bearer", "--tlspassword", "--key-passwd"),
    clustered="sSfkLvgiIjlnNpqRaZG0123456#",
)
_LDAP: Final = Program(_options(_E, "-w", "-s", "-a", "-p"), clustered="xvnZLcMCQ")
_LDAP_SEARCH: Final = Program(_options(_E, "-w"), clustered="xvnZLcMCQ")
_SNMP: Final = Program(_options(_E, "-c", "-A", "-X", "-3m", "-3M", "-3k", "-3K"))
_MONGO: Final = Program(_options(_E, "-p"))
_SAMBA: Final = Program(_options(Form.PERCENT, "-U", "--user"), clustered="Nk")
_IMPACKET: Final = Program(_options(_N, "-hashes", "-aesKey"))
_RDP: Final = Program(_options(Form.SLASHED, "/p", "/pwd", "/gp", "/pth") + _options(_E, "-p"))
_MQTT: Final = Program(_options(_E, "-P"))
_OPENSSL: Final = Program(
    _options(_N, "-k", "-K")
    + _options(Form.TYPED, "-pass", "-passin", "-passout", "-password", "-srppass", "-psk", "-signature_key")
    + _options(_N, "-macopt", "-hmac", "-challenge")
    + _options(Form.SKIPPED, "-salt"),
    positions=(Position(("passwd",), 0),),
)
_PLINK: Final = Program(_options(_N, "-pw", "-passphrase"))
_HTTPIE: Final = Program(_options(Form.PAIR, "-a", "--auth"))
_NET: Final = Program(positions=(Position(("user",), 1), Position(("use",), 2)), options=_options(Form.PERCENT, "-U"))
_USERADD: Final = Program(_options(_E, "-p", "--password"))
_CRI: Final = Program(_options(Form.PAIR, "--creds", "--user", "-u") + _options(_E, "--auth"))
_HTPASSWD: Final = Program(
    positions=(Position((), 1, flag="n"), Position((), 2, flag="b")),
)
_KEYTOOL: Final = Program(
    _options(_N, "-storepass", "-keypass", "-srcstorepass", "-deststorepass", "-srckeypass", "-destkeypass", "-new")
)
_PDF: Final = Program(
    _options(_N, "-upw", "-opw", "-userpwd"),
    keywords=("user_pw", "owner_pw", "input_pw"),
    positions=(Position(("--encrypt",), 0), Position(("--encrypt",), 1)),
)
_MINIO: Final = Program(
    positions=(
        Position(("alias", "set"), 2, rest=True),
        Position(("config", "host", "add"), 2, rest=True),
        Position(("admin", "user", "add"), 2),
        Position(("user", "add"), 2),
    )
)
_REGISTRY_CLIENT: Final = Program(_options(_E, "-p") + _options(Form.PAIR, "--creds"), needs=("login",))
_SQLPLUS: Final = Program(positions=(Position((), 0, separator="/"), Position(("target",), 0, separator="/")))

_TABLE: Final[tuple[tuple[str, Program], ...]] = (
    (
        (
            "mysql mysqldump mysqladmin mysqlimport mysqlshow mysqlcheck mysqlbinlog mysqlslap mysqlsh "
            "mysql_upgrade mysqlpump mariadb "
            "mariadb-dump mariadb-admin mariadb-backup mariabackup mariadb-check mycli mydumper myloader "
            "xtrabackup innobackupex "
            "pt-query-digest pt-online-schema-change"
        ),
        _MYSQL,
    ),
    ("mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop mongofiles", _MONGO),
    ("cqlsh nodetool sstableloader", Program(_options(_E, "-p", "-pw"))),
    (
        "redis-cli keydb-cli valkey-cli",
        Program(
            _options(_E, "-a", "--pass"),
            positions=(
                Position(("auth",), 0, rest=True),
                Position(("requirepass",), 0),
                Position(("masterauth",), 0),
                Position(("migrate",), 5),
            ),
        ),
    ),
    ("sqlcmd bcp osql isql tsql freebcp go-sqlcmd mssql-cli", _SQLCMD),
    ("sqlplus expdp impdp rman sqlldr adrci", _SQLPLUS),
    ("db2", Program(keywords=("using",))),
    ("nzsql nzload", Program(_options(_N, "-pw"))),
    ("vsql", Program(_options(_E, "-w"))),
    ("beeline hive", Program(_options(_E, "-p", "-w"))),
    ("influx influxd", Program(_options(_N, "-t", "-password", "-p"))),
    ("cypher-shell snowsql cbq couchbase-cli cbbackupmgr", Program(_options(_E, "-p"))),
    ("neo4j-admin", Program(positions=(Position(("set-initial-password",), 0),))),
    ("elasticsearch-users", Program(_options(_E, "-p"))),
    ("ldapsearch ldapwhoami ldapcompare ldapmodrdn ldapexop ldapurl", _LDAP_SEARCH),
    ("ldapadd ldapmodify ldapdelete", _LDAP_SEARCH),
    ("ldappasswd", _LDAP),
    ("slappasswd", Program(_options(_E, "-s"))),
    ("sshpass", Program(_options(_E, "-p"), clustered="ev")),
    ("plink pscp psftp putty klink kitty winscp", _PLINK),
    ("curl curlie", _CURL),
    ("http https httpie xh xhs", _HTTPIE),
    ("ab", Program(_options(Form.PAIR, "-A", "-P") + _options(_E, "-C"))),
    ("siege hey wrk vegeta bombardier", Program(_options(Form.PAIR, "-a", "--auth"))),
    ("lftp open", Program(_options(Form.COMMA, "-u", "--user"))),
    ("youtube-dl yt-dlp", Program(_options(_E, "-p", "-2"))),
    ("ncftp ncftpput ncftpget ncftpls ftp-upload", Program(_options(_E, "-p"))),
    ("docker podman nerdctl buildah docker-compose finch", _DOCKER),
    (
        "skopeo",
        Program(
            _options(_E, "-p") + _options(Form.PAIR, "--creds", "--src-creds", "--dest-creds"),
            needs=("login", "copy", "inspect"),
        ),
    ),
    ("helm oras crane regctl oc cf faas-cli kamel notation az pulumi ibmcloud bluemix fly", _REGISTRY_CLIENT),
    ("az", Program(_options(_E, "-p"), needs=("server", "flexible-server"))),
    ("az", Program(_options(_N, "--value"), needs=("secret",))),
    ("aws", Program(_options(_N, "--value"), needs=("put-parameter",))),
    ("gcloud", Program(positions=(Position(("auth", "activate-refresh-token"), 1),))),
    ("gh", Program(_options(_E, "-b", "--body"), needs=("secret",))),
    ("pulumi", Program(positions=(Position(("config", "set"), 1),))),
    ("dotnet", Program(positions=(Position(("user-secrets", "set"), 1),))),
    ("npm pnpm yarn", Program(keywords=("_auth", "_authtoken", "_password"))),
    (
        "poetry",
        Program(_options(_E, "-p"), needs=("publish",), positions=(Position(("config",), 2),)),
    ),
    ("crictl ctr", _CRI),
    (
        "vault bao",
        Program(
            positions=(
                Position(("login",), 0),
                Position(("unseal",), 0),
                Position(("unwrap",), 0),
                Position(("renew",), 0),
                Position(("token", "lookup"), 0),
                Position(("token", "revoke"), 0),
                Position(("kv", "put"), 1, rest=True, separator="="),
                Position(("kv", "patch"), 1, rest=True, separator="="),
            )
        ),
    ),
    ("consul nomad", Program(_options(_N, "-token", "-encrypt"))),
    ("kubectl oc", Program(_options(Form.LITERAL, "--from-literal"))),
    ("qpdf pdftk pdftotext pdftoppm pdftocairo pdfimages mutool", _PDF),
    (
        "rabbitmqctl",
        Program(
            positions=(
                Position(("add_user",), 1),
                Position(("change_password",), 1),
                Position(("authenticate_user",), 1),
            )
        ),
    ),
    ("rabbitmqadmin", Program(_options(_E, "-p"))),
    ("mosquitto_pub mosquitto_sub mosquitto_rr mqttx", _MQTT),
    ("mosquitto_passwd", Program(positions=(Position((), 2, flag="b"),))),
    ("etcdctl", Program(_options(Form.PAIR, "--user", "-u"), positions=(Position(("user", "add"), 0, separator=":"),))),
    ("mc mcli", _MINIO),
    (
        "rclone",
        Program(positions=(Position(("obscure",), 0),), keywords=("pass", "secret_access_key", "client_secret")),
    ),
    ("7z 7za 7zr 7zz 7zzs p7zip 7z.exe", _SEVEN_ZIP),
    ("rar unrar", _RAR),
    ("zip unzip zipcloak zipinfo funzip bsdtar", _ZIP),
    ("openssl libressl", _OPENSSL),
    ("keytool jarsigner", _KEYTOOL),
    ("apksigner", Program(_options(Form.TYPED, "--ks-pass", "--key-pass"))),
    ("htpasswd", _HTPASSWD),
    ("useradd usermod adduser groupadd groupmod", _USERADD),
    ("wpa_passphrase", Program(positions=(Position((), 1),))),
    ("mkpasswd", Program(_options(Form.SKIPPED, "-m", "-S", "-R"), positions=(Position((), 0),))),
    ("ssh-keygen", Program(_options(_E, "-N", "-P"))),
    ("altool notarytool vmrun hdbsql", Program(_options(_N, "-p", "-gp", "-vp"))),
    ("net net.exe net1", _NET),
    ("smbclient smbget smbcacls smbcquotas rpcclient winexe wmic pth-winexe smbtree smbmap nmblookup", _SAMBA),
    (
        "smbclient",
        Program(
            _options(Form.SKIPPED, *(f"-{letter}" for letter in "ILUcdpWDsmnlEAtTO")), positions=(Position((), 1),)
        ),
    ),
    (
        "samba-tool",
        Program(
            _options(Form.PERCENT, "-U"), positions=(Position(("user", "create"), 1), Position(("user", "add"), 1))
        ),
    ),
    ("xfreerdp xfreerdp3 wfreerdp sdl-freerdp freerdp rdesktop", _RDP),
    (
        (
            "psexec psexec.exe psexec64.exe paexec.exe schtasks schtasks.exe cmdkey cmdkey.exe wmic.exe tasklist "
            "taskkill winrs"
        ),
        Program(_options(_N, "-p", "/p", "/rp") + _options(Form.SLASHED, "/p", "/rp", "/pass", "-p", "-r")),
    ),
    ("secretsdump.py psexec.py wmiexec.py smbexec.py GetUserSPNs.py GetNPUsers.py ticketer.py", _IMPACKET),
    (
        "crackmapexec cme netexec nxc evil-winrm kerbrute hydra medusa ncrack bloodhound-python",
        Program(_options(_E, "-p", "-H")),
    ),
    ("vncpasswd x11vnc vncviewer", Program(_options(_N, "-passwd", "-password"))),
    ("ipmitool ipmipower bmc-config ipmi-sensors racadm ipmiutil", Program(_options(_E, "-P", "-p", "-k"))),
    (
        (
            "snmpget snmpset snmpwalk snmpbulkget snmpbulkwalk snmpgetnext snmptable snmptrap snmpinform snmpdf "
            "snmpstatus snmpdelta "
            "check_snmp onesixtyone braa snmp-check"
        ),
        _SNMP,
    ),
    ("radtest", Program(positions=(Position((), 1), Position((), 4)))),
    ("radclient", Program(positions=(Position((), 2),))),
    (
        "nmcli",
        Program(
            keywords=(
                "password",
                "psk",
                "wifi-sec.psk",
                "802-11-wireless-security.psk",
                "802-1x.password",
                "vpn.secrets",
                "wifi-sec.wep-key0",
            )
        ),
    ),
    ("wpa_cli", Program(keywords=("psk", "password", "wep_key0"))),
    ("iwconfig", Program(keywords=("key", "enc"))),
    ("pppd", Program(keywords=("password",))),
    ("iscsiadm", Program(_options(_E, "-v", "-w"))),
    ("kadmin kadmin.local", Program(_options(_E, "-w", "-pw"))),
    (
        "pkcs11-tool pkcs15-init pkcs15-tool yubico-piv-tool ykman softhsm2-util",
        Program(_options(_E, "-p", "-P", "--pin", "--so-pin")),
    ),
    ("tpm2_unseal tpm2_create tpm2_createprimary tpm2_sign tpm2_nvread", Program(_options(_E, "-p", "-P"))),
    ("keyctl", Program(positions=(Position(("add",), 2), Position(("padd",), 2), Position(("update",), 1)))),
    ("cargo", Program(positions=(Position(("login",), 0),), options=_options(_N, "--token"))),
    (
        "ngrok",
        Program(
            positions=(Position(("authtoken",), 0), Position(("add-authtoken",), 0), Position(("add-api-key",), 0))
        ),
    ),
    ("snyk", Program(positions=(Position(("auth",), 0),))),
    ("cloudflared", Program(positions=(Position(("service", "install"), 0),))),
    ("twine", Program(_options(_E, "-p"))),
    ("nuget dotnet nuget.exe", Program(_options(_E, "-ApiKey", "-k"), needs=("push",))),
    ("gem", Program(_options(_E, "-k", "--key"), needs=("push",))),
    ("codecov uploader", Program(_options(_E, "-t"))),
    ("gitlab-runner", Program(_options(_E, "-r", "-t"))),
    ("glab flyctl fly vercel doctl netlify railway", Program(_options(_E, "-t", "--auth"))),
    ("jenkins-cli jenkins-cli.jar", Program(_options(Form.PAIR, "-auth"))),
    ("grafana-cli grafana", Program(positions=(Position(("reset-admin-password",), 0),))),
    ("bw", Program(positions=(Position(("login",), 1), Position(("unlock",), 0)))),
    ("chamber", Program(positions=(Position(("write",), 2),))),
    ("swaks sendemail sendEmail", Program(_options(_E, "-ap", "-xp", "--auth-password"))),
    ("sipp baresip", Program(_options(_N, "-ap"))),
    ("dsconf dsidm ipa", Program(_options(_E, "-w"))),
    ("ffmpeg", Program(_options(_N, "-encryption_key", "-decryption_key", "-hls_enc_key"))),
    ("virsh", Program(positions=(Position(("secret-set-value",), 1), Position(("set-user-password",), 2)))),
    ("ceph rados rbd", Program(_options(_N, "--key"))),
    ("tailscale", Program(_options(_N, "--authkey", "--auth-key"))),
    ("openvpn openconnect vpnc snx", Program(_options(_E, "-p"))),
    ("hdiutil", Program(_options(_N, "-passphrase"))),
    ("security", Program(_options(_E, "-p", "-P", "-w"))),
    ("dscl", Program(positions=(Position(("-passwd",), 1), Position(("passwd",), 1)))),
    ("sysadminctl", Program(_options(_N, "-password", "-adminPassword", "-newPassword", "-oldPassword"))),
)


def program_table() -> dict[str, tuple[Program, ...]]:
    """Programs by lower-case name; a name may have several entries."""
    table: dict[str, tuple[Program, ...]] = {}
    for names, program in _TABLE:
        for name in names.lower().split():
            table[name] = (*table.get(name, ()), program)
    return table
