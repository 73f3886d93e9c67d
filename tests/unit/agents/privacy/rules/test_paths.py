"""agents/privacy/rules/paths.py through the engine: homes lose their owner, credential files their name."""

import pytest

from agents.privacy.redaction.answers import Cleared
from tests.support.privacy import cleared, engine


def _path(text: str) -> str:
    answer = engine().path(text)
    assert isinstance(answer, Cleared), answer
    return answer.text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/ann", "~"),
        ("/home/ann/", "~/"),
        ("/home/ann/src/app.py", "~/src/app.py"),
        ("/home/Ann Lee/src", "~/src"),
        ("/Users/ann/Library", "~/Library"),
        ("/var/home/ann/x", "~/x"),
        ("/export/home/ann/x", "~/x"),
        ("/mnt/c/Users/ann/x", "~/x"),
        ("C:\\Users\\Ann Lee\\x.txt", "~\\x.txt"),
        ("~ann/x", "~/x"),
        ("/var/lib/docker/overlay2/abc/merged/home/ann/x", "/var/lib/docker/overlay2/abc/merged/~/x"),
        ("/run/user/1000/bus", "/run/user/[user]/bus"),
        ("/var/spool/mail/ann", "/var/spool/mail/[user]"),
        ("/run/media/ann/DISK", "/run/media/[user]/DISK"),
        ("/media/ann/DISK", "/media/[user]/DISK"),
        ("/proc/7/root/media/ann/DISK", "/proc/7/root/media/[user]/DISK"),
        ("/usr/lib/tool/media/assets/a.py", "/usr/lib/tool/media/assets/a.py"),
        ("/etc/ssl/certs/WISeKey_Root.pem", "/etc/ssl/certs/WISeKey_Root.pem"),
        ("/root/app", "/root/app"),
        ("/home", "/home"),
        ("/homestead/x", "/homestead/x"),
        ("/usr/lib/libc.so.6", "/usr/lib/libc.so.6"),
        ("/srv/app/home.html", "/srv/app/home.html"),
    ],
)
def test_home_loses_its_owner_and_nothing_else(path: str, expected: str) -> None:
    """Wherever homes lie, `~` stands for them; what only looks like one stays."""
    assert _path(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/ann/.ssh/id_ed25519", "~/.ssh/[credential]"),
        ("/home/*/.ssh/id_rsa", "~/.ssh/[credential]"),
        ("/root/.ssh/deploy", "/root/.ssh/[credential]"),
        ("/root/.aws/credentials", "/root/.aws/[credential]"),
        ("/root/.kube/config", "/root/.kube/[credential]"),
        ("/root/.docker/config.json", "/root/.docker/[credential]"),
        ("/home/ann/.netrc", "~/[credential]"),
        ("/home/ann/.pgpass", "~/[credential]"),
        ("/home/ann/.npmrc", "~/[credential]"),
        ("/home/ann/.git-credentials", "~/[credential]"),
        ("/home/ann/.gnupg/private-keys-v1.d/AB.key", "~/.gnupg/[credential]"),
        ("/home/ann/.config/gcloud/application_default_credentials.json", "~/.config/gcloud/[credential]"),
        ("/etc/shadow", "/etc/[credential]"),
        ("/etc/gshadow-", "/etc/[credential]"),
        ("/etc/krb5.keytab", "/etc/[credential]"),
        ("/etc/ssh/ssh_host_rsa_key", "/etc/ssh/[credential]"),
        ("/etc/ssl/private/web.key", "/etc/ssl/private/[credential]"),
        ("/etc/kubernetes/admin.conf", "/etc/kubernetes/[credential]"),
        ("/proc/1234/environ", "/proc/1234/[credential]"),
        ("/proc/self/environ", "/proc/self/[credential]"),
        ("/proc/1/task/2/environ", "/proc/1/task/2/[credential]"),
        (
            "/var/run/secrets/kubernetes.io/serviceaccount/token",
            "/var/run/secrets/kubernetes.io/serviceaccount/[credential]",
        ),
        (
            "/run/secrets/eks.amazonaws.com/serviceaccount/token",
            "/run/secrets/eks.amazonaws.com/serviceaccount/[credential]",
        ),
        ("/srv/tls/server.key", "/srv/tls/[credential]"),
        ("/srv/app.keytab", "/srv/[credential]"),
        ("/srv/store.p12", "/srv/[credential]"),
        ("/srv/prod.pem", "/srv/[credential]"),
        ("/srv/privkey.pem", "/srv/[credential]"),
    ],
)
def test_credential_file_keeps_its_folder(path: str, expected: str) -> None:
    """A reader still sees what kind of credential was touched, and where."""
    assert _path(path) == expected


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/run/secrets/db_password", "/run/secrets/[credential]"),
        ("/srv/app/.env.production", "/srv/app/[credential]"),
        ("/root/.bash_history", "/root/[credential]"),
        ("/srv/terraform.tfstate", "/srv/[credential]"),
        ("/tmp/krb5cc_1000", "/tmp/[credential]"),
        ("/home/CORP/leo/x", "~/x"),
        ("/home/CORP\\kate/x", "~/x"),
        ("/home/corp.example.com/ann/x", "~/x"),
        ("/home/ann.b/src", "~/src"),
        ("/opt/.wine/drive_c/users/nina/x", "/opt/.wine/~/x"),
        ("/home/./zack/x", "~/x"),
        ("%2Fhome%2Fcarl/x", "~/x"),
        ("/nfs/users/ivan/x", "~/x"),
        ("/var/lib/sudo/lectured/evan", "/var/lib/sudo/lectured/[user]"),
    ],
)
def test_path_loses_its_owner_or_its_secret_name_however_it_is_spelled(path: str, left: str) -> None:
    """Domains, servers, Wine, points and escapes name an owner, too; what people typed and state files are secret."""
    answer = engine().path(path)
    assert isinstance(answer, Cleared)
    assert answer.text == left


@pytest.mark.parametrize(
    "path",
    [
        "/root/.ssh/known_hosts",
        "/root/.ssh/id_rsa.pub",
        "/root/.ssh/authorized_keys",
        "/etc/ssh/ssh_host_ed25519_key.pub",
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/ssl/certs/ca.pem",
        "/srv/fullchain.pem",
        "/srv/.env.example",
        "/usr/share/keyrings/docker.gpg",
        "/proc/1234/status",
        "/srv/keyboard.keymap",
        "/usr/lib/libsecret-1.so.0",
        "/etc/passwd",
    ],
)
def test_public_half_and_ordinary_file_stay(path: str) -> None:
    """Files that everybody may see are not credentials."""
    assert _path(path) == path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--key=/home/ann/.ssh/id_rsa", "--key=~/.ssh/[credential]"),
        ("-v /home/ann/x:/data", "-v ~/x:/data"),
        ("PATH=/home/ann/bin:/usr/bin app", "PATH=~/bin:/usr/bin app"),
        ("file:///home/ann/x.html", "file://~/x.html"),
        ("user@host:/home/ann/x", "user@host:~/x"),
        ('sh -c "cat /home/ann/a /home/bob/b"', 'sh -c "cat ~/a ~/b"'),
        ("--home ~ann --from ~bob/x", "--home ~ --from ~/x"),
        ("-i server.key -o out", "-i [credential] -o out"),
        ("cat /proc/1/environ /proc/2/environ", "cat /proc/1/[credential] /proc/2/[credential]"),
    ],
)
def test_path_is_found_wherever_it_stands_in_arguments(line: str, expected: str) -> None:
    """Behind an option, in a list, in an address, in a nested command."""
    assert cleared(line).text == expected


@pytest.mark.parametrize("text", ["HEAD~1", "a~b", "1.0~rc1", "~", "~/x", "v2~beta", "/srv/~tmp"])
def test_tilde_that_names_no_user_stays(text: str) -> None:
    """Only `~name` at the start of a word is the home of a user."""
    assert cleared(text).text == text
