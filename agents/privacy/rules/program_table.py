"""The table of programs: which short options and which positions of which programs hold a secret.

`-p` is a password to sshpass, a port to ssh and a folder's parents to mkdir, so a short option has a meaning only
together with its program. Long options that say what they are (`--password`) need no entry here; those that do not, do.
Entries come from the programs' manuals. `further_programs` has those of less common programs.
"""

from typing import Final

from agents.privacy.rules.further_programs import FURTHER_PROGRAMS
from agents.privacy.rules.program_forms import Form, Position, Program
from agents.privacy.rules.program_forms import options as _options

_E, _N = Form.EITHER, Form.NEXT

_TABLE: Final[tuple[Program, ...]] = (
    Program(
        (
            "mysql mysqldump mysqladmin mysqlimport mysqlshow mysqlcheck mysqlbinlog mysqlslap mysqlsh "
            "mysql_upgrade mysqlpump mysql_secure_installation mariadb "
            "mariadb-dump mariadb-admin mariadb-backup mariabackup mariadb-check mydumper myloader taos taosdump mytop "
            "innotop "
            "xtrabackup innobackupex "
            "pt-query-digest pt-online-schema-change"
        ),
        _options(Form.ATTACHED, "-p"),
    ),
    Program(
        "mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop mongofiles", _options(_E, "-p")
    ),
    Program("cqlsh sstableloader", _options(_E, "-p", "-pw")),
    Program("nodetool", _options(_N, "-pw", "--password")),
    Program(
        "redis-cli keydb-cli valkey-cli",
        _options(_E, "-a", "--pass"),
        positions=(
            Position(("auth",), 0, rest=True),
            Position(("requirepass",), 0),
            Position(("masterauth",), 0),
            Position(("migrate",), 5),
        ),
    ),
    Program("sqlcmd bcp osql isql tsql freebcp go-sqlcmd mssql-cli", _options(_E, "-P")),
    Program(
        "sqlplus expdp impdp rman sqlldr adrci",
        positions=tuple(
            Position(after, 0, separator="/")
            for after in ((), ("target",), ("catalog",), ("auxiliary",), ("connect",), ("connect", "target"))
        ),
    ),
    Program("db2", keywords=("using",)),
    Program("nzsql nzload", _options(_N, "-pw")),
    Program("vsql", _options(_E, "-w")),
    Program("beeline hive", _options(_E, "-p", "-w")),
    Program("influx influxd", _options(_N, "-t", "-password", "-p")),
    Program("cypher-shell snowsql cbq couchbase-cli cbbackupmgr", _options(_E, "-p")),
    Program("neo4j-admin", positions=(Position(("set-initial-password",), 0),)),
    Program("elasticsearch-users", _options(_E, "-p")),
    Program(
        "ldapsearch ldapwhoami ldapcompare ldapmodrdn ldapexop ldapurl ldapadd ldapmodify ldapdelete",
        _options(_E, "-w"),
        clustered="xvnZLcMCQ",
    ),
    Program("ldappasswd", _options(_E, "-w", "-s", "-a", "-p"), clustered="xvnZLcMCQ"),
    Program("slappasswd", _options(_E, "-s")),
    Program("sshpass", _options(_E, "-p"), clustered="ev", runs_another=True),
    Program("plink pscp psftp putty klink kitty winscp", _options(_N, "-pw", "-passphrase")),
    Program(
        "curl curlie",
        _options(Form.PAIR, "-u", "--user", "-U", "--proxy-user", "-E", "--cert", "--proxy-cert")
        + _options(Form.COOKIE, "-b", "--cookie")
        + _options(_E, "--pass", "--proxy-pass", "--oauth2-bearer", "--tlspassword", "--key-passwd"),
        clustered="sSfkLvgiIjlnNpqRaZG0123456#",
    ),
    Program("http https httpie xh xhs", _options(Form.PAIR, "-a", "--auth")),
    Program("ab", _options(Form.PAIR, "-A", "-P") + _options(Form.COOKIE, "-C")),
    Program("siege hey wrk vegeta bombardier", _options(Form.PAIR, "-a", "--auth")),
    Program("lftp open", _options(Form.COMMA, "-u", "--user")),
    Program("youtube-dl yt-dlp", _options(_E, "-p", "-2")),
    Program("ncftp ncftpput ncftpget ncftpls ftp-upload", _options(_E, "-p")),
    Program(
        "docker podman nerdctl buildah docker-compose finch",
        _options(_E, "-p") + _options(Form.PAIR, "--creds", "--src-creds", "--dest-creds"),
        needs=("login",),
    ),
    Program(
        "skopeo",
        _options(_E, "-p") + _options(Form.PAIR, "--creds", "--src-creds", "--dest-creds"),
        needs=("login", "copy", "inspect"),
    ),
    Program(
        "helm oras crane regctl oc cf faas-cli kamel notation az pulumi ibmcloud bluemix fly",
        _options(_E, "-p") + _options(Form.PAIR, "--creds"),
        needs=("login",),
    ),
    Program("az", _options(_E, "-p"), needs=("server", "flexible-server")),
    Program("az", _options(_N, "--value"), needs=("secret",)),
    Program("aws", _options(_N, "--value"), needs=("put-parameter",)),
    Program("gcloud", positions=(Position(("auth", "activate-refresh-token"), 1),)),
    Program("gh", _options(_E, "-b", "--body"), needs=("secret",)),
    Program("pulumi", positions=(Position(("config", "set"), 1),)),
    Program("dotnet", positions=(Position(("user-secrets", "set"), 1),)),
    Program("npm pnpm yarn", keywords=("_auth", "_authtoken", "_password")),
    Program("poetry", _options(_E, "-p"), needs=("publish",), positions=(Position(("config",), 2),)),
    Program("crictl ctr", _options(Form.PAIR, "--creds", "--user", "-u") + _options(_E, "--auth")),
    Program(
        "vault bao",
        _options(Form.SKIPPED, "-accessor", "-method", "-path"),
        positions=(
            Position(("login",), 0),
            Position(("unseal",), 0),
            Position(("unwrap",), 0),
            Position(("renew",), 0),
            Position(("token", "lookup"), 0),
            Position(("token", "revoke"), 0),
            Position(("kv", "put"), 1, rest=True, separator="="),
            Position(("kv", "patch"), 1, rest=True, separator="="),
        ),
    ),
    Program("consul nomad", _options(_N, "-token", "-encrypt")),
    Program("kubectl oc", _options(Form.LITERAL, "--from-literal")),
    Program(
        "qpdf pdftk pdftotext pdftoppm pdftocairo pdfimages mutool",
        _options(_N, "-upw", "-opw", "-userpwd"),
        keywords=("user_pw", "owner_pw", "input_pw"),
        positions=(Position(("--encrypt",), 0), Position(("--encrypt",), 1)),
    ),
    Program(
        "rabbitmqctl",
        positions=(
            Position(("add_user",), 1),
            Position(("change_password",), 1),
            Position(("authenticate_user",), 1),
        ),
    ),
    Program("rabbitmqadmin", _options(_E, "-p")),
    Program("mosquitto_pub mosquitto_sub mosquitto_rr mqttx", _options(_E, "-P")),
    Program("mosquitto_passwd", positions=(Position((), 2, flag="b"),)),
    Program("etcdctl", _options(Form.PAIR, "--user", "-u"), positions=(Position(("user", "add"), 0, separator=":"),)),
    Program(
        "mc mcli",
        positions=(
            Position(("alias", "set"), 3, rest=True),
            Position(("config", "host", "add"), 3, rest=True),
            Position(("admin", "user", "add"), 2),
            Position(("user", "add"), 2),
        ),
    ),
    Program("rclone", positions=(Position(("obscure",), 0),), keywords=("pass", "secret_access_key", "client_secret")),
    Program("7z 7za 7zr 7zz 7zzs p7zip 7z.exe", _options(Form.ATTACHED, "-p")),
    Program("rar unrar", _options(Form.ATTACHED, "-p", "-hp")),
    Program("zip unzip zipcloak zipinfo funzip bsdtar", _options(_E, "-P"), clustered="rq0123456789jmuovTyxFeDflnkwz"),
    Program(
        "openssl libressl",
        _options(_N, "-k", "-K")
        + _options(Form.TYPED, "-pass", "-passin", "-passout", "-password", "-srppass", "-psk", "-signature_key")
        + _options(_N, "-hmac", "-challenge")
        + _options(Form.SKIPPED, "-salt"),
        positions=(Position(("passwd",), 0),),
    ),
    Program(
        "keytool jarsigner",
        _options(
            _N, "-storepass", "-keypass", "-srcstorepass", "-deststorepass", "-srckeypass", "-destkeypass", "-new"
        ),
    ),
    Program("apksigner", _options(Form.TYPED, "--ks-pass", "--key-pass")),
    Program("htpasswd", positions=(Position((), 1, flag="n"), Position((), 2, flag="b"))),
    Program("useradd usermod adduser groupadd groupmod", _options(_E, "-p", "--password")),
    Program("wpa_passphrase", positions=(Position((), 1),)),
    Program("mkpasswd", _options(Form.SKIPPED, "-m", "-S", "-R"), positions=(Position((), 0),)),
    Program("ssh-keygen", _options(_E, "-N", "-P")),
    Program("altool notarytool vmrun hdbsql", _options(_N, "-p", "-gp", "-vp")),
    Program(
        "net net.exe net1",
        positions=(Position(("user",), 1), Position(("use",), 2)),
        options=_options(Form.PERCENT, "-U"),
    ),
    Program(
        "smbclient smbget smbcacls smbcquotas rpcclient winexe wmic pth-winexe smbtree smbmap nmblookup",
        _options(Form.PERCENT, "-U", "--user"),
        clustered="Nk",
    ),
    Program(
        "smbclient",
        _options(
            Form.SKIPPED,
            *(f"-{letter}" for letter in "ILUcdpWDsmnlEAtTO"),
            "--workgroup",
            "--user",
            "--port",
            "--directory",
            "--command",
            "--max-protocol",
            "--option",
        ),
        positions=(Position((), 1),),
    ),
    Program(
        "samba-tool",
        _options(Form.PERCENT, "-U"),
        positions=(Position(("user", "create"), 1), Position(("user", "add"), 1)),
    ),
    Program(
        "xfreerdp xfreerdp3 wfreerdp sdl-freerdp freerdp rdesktop",
        _options(Form.SLASHED, "/p", "/pwd", "/gp", "/pth") + _options(_E, "-p"),
    ),
    Program(
        (
            "psexec psexec.exe psexec64.exe paexec.exe schtasks schtasks.exe cmdkey cmdkey.exe wmic.exe tasklist "
            "taskkill"
        ),
        _options(_N, "-p", "/p", "/rp") + _options(Form.SLASHED, "/p", "/rp", "/pass", "-p", "-r"),
    ),
    Program(
        "secretsdump.py psexec.py wmiexec.py smbexec.py GetUserSPNs.py GetNPUsers.py ticketer.py",
        _options(_N, "-hashes", "-aesKey"),
    ),
    Program(
        "crackmapexec cme netexec nxc evil-winrm kerbrute hydra medusa ncrack bloodhound-python",
        _options(_E, "-p"),
    ),
    Program("crackmapexec cme netexec nxc evil-winrm kerbrute bloodhound-python", _options(_E, "-H")),
    Program("vncpasswd x11vnc vncviewer", _options(_N, "-passwd", "-password")),
    Program("ipmipower bmc-config ipmi-sensors racadm ipmiutil", _options(_E, "-P", "-p", "-k")),
    Program(
        "ipmitool",
        _options(_E, "-P", "-k", "-y") + _options(Form.SKIPPED, "-H", "-U", "-I", "-p", "-L", "-f"),
    ),
    Program(
        (
            "snmpget snmpset snmpwalk snmpbulkget snmpbulkwalk snmpgetnext snmptable snmptrap snmpinform snmpdf "
            "snmpstatus snmpdelta "
            "check_snmp onesixtyone braa snmp-check"
        ),
        _options(_E, "-c", "-A", "-X", "-3m", "-3M", "-3k", "-3K"),
    ),
    Program(
        "radtest",
        _options(Form.SKIPPED, "-t", "-d", "-P", "-x", "-4", "-6"),
        positions=(Position((), 1), Position((), 4)),
    ),
    Program(
        "nmcli",
        keywords=(
            "password",
            "psk",
            "wifi-sec.psk",
            "802-11-wireless-security.psk",
            "802-1x.password",
            "vpn.secrets",
            "wifi-sec.wep-key0",
        ),
    ),
    Program("wpa_cli", keywords=("psk", "password", "wep_key0")),
    Program("iwconfig", keywords=("key", "enc")),
    Program("pppd", keywords=("password",)),
    Program("iscsiadm", _options(_E, "-v", "-w")),
    Program("kadmin kadmin.local", _options(_E, "-w", "-pw")),
    Program(
        "pkcs11-tool pkcs15-init pkcs15-tool yubico-piv-tool ykman softhsm2-util",
        _options(_E, "-p", "-P", "--pin", "--so-pin"),
    ),
    Program("tpm2_unseal tpm2_create tpm2_createprimary tpm2_sign tpm2_nvread", _options(_E, "-p", "-P")),
    Program("keyctl", positions=(Position(("add",), 2), Position(("update",), 1))),
    Program(
        "cargo",
        positions=(Position(("login",), 0),),
        options=_options(_N, "--token") + _options(Form.SKIPPED, "--registry"),
    ),
    Program(
        "ngrok", positions=(Position(("authtoken",), 0), Position(("add-authtoken",), 0), Position(("add-api-key",), 0))
    ),
    Program("snyk", positions=(Position(("auth",), 0),)),
    Program("cloudflared", positions=(Position(("service", "install"), 0),)),
    Program("twine", _options(_E, "-p")),
    Program("nuget dotnet nuget.exe", _options(_E, "-ApiKey", "-k"), needs=("push",)),
    Program("codecov uploader", _options(_E, "-t")),
    Program("gitlab-runner", _options(_E, "-r", "-t")),
    Program("glab flyctl vercel doctl netlify railway", _options(_E, "-t", "--auth")),
    Program("jenkins-cli jenkins-cli.jar", _options(Form.PAIR, "-auth")),
    Program("grafana-cli grafana", positions=(Position(("reset-admin-password",), 0),)),
    Program("bw", positions=(Position(("login",), 1), Position(("unlock",), 0))),
    Program("chamber", positions=(Position(("write",), 2),)),
    Program("swaks sendemail sendEmail", _options(_E, "-ap", "-xp", "--auth-password")),
    Program("sipp baresip", _options(_N, "-ap")),
    Program("dsconf dsidm ipa", _options(_E, "-w")),
    Program("ffmpeg", _options(_N, "-encryption_key", "-decryption_key", "-hls_enc_key")),
    Program("virsh", positions=(Position(("secret-set-value",), 1), Position(("set-user-password",), 2))),
    Program("ceph rados rbd", _options(_N, "--key")),
    Program("tailscale", _options(_N, "--authkey", "--auth-key")),
    Program("openvpn openconnect vpnc snx", _options(_E, "-p")),
    Program("hdiutil", _options(_N, "-passphrase")),
    Program("security", _options(_E, "-p", "-P", "-w")),
    Program("dscl", positions=(Position(("-passwd",), 1), Position(("passwd",), 1))),
    Program("sysadminctl", _options(_N, "-password", "-adminPassword", "-newPassword", "-oldPassword")),
)


def program_table() -> dict[str, tuple[Program, ...]]:
    """Programs by lower-case name; a name may have several entries."""
    table: dict[str, tuple[Program, ...]] = {}
    for program in (*_TABLE, *FURTHER_PROGRAMS):
        for name in program.names.lower().split():
            table[name] = (*table.get(name, ()), program)
    return table
