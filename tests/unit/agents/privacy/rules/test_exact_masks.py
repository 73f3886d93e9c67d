"""agents/privacy/rules together: a mask covers the secret, and what stands around it stays."""

import pytest

from tests.support.privacy import redacted, split_command


@pytest.mark.parametrize(
    "expected",
    [
        "openssl rsa -passin pass:# -in a",
        "dar -K aes:# -c a",
        "iwconfig wlan0 key s:#",
        "net ads join -U ann%#",
        "tool --user-pass ann:# x",
        'curl -H "Cookie: sid=#; theme=dark" h',
        "curl -d login=ann&passwd=#&next=x h",
        "mount -o user=ann,password=#,uid=1 x",
        "x -Dk=v;password=# -n y",
        "s3cmd --access_key=ann --secret_key=# ls",
        'restic --password-command "echo #" check',
        r"sh -c \"printf 'userPassword: #\nx: y\n' | ldapmodify\"".replace('\\"', '"'),
        "sh -c \"printf 'protocol=https\\npassword=#\\n' | git credential approve\"",
        "rabbitmqctl change_password ann #",
        "virsh set-user-password vm1 root #",
        "wpa_cli password 0 #",
        "pulumi config set --secret dbPassword #",
        "kubectl create secret generic x --from-literal=username=ann --from-literal=password=#",
        "python3 -c \"s.login('ann','#')\"",
        "php -r \"new PDO('mysql:host=db','ann','#');\"",
        "tool -P 8080 -u ann -p # x",
        "xe user-password-change old=# new=#",
        "tool --tls-creds tls0 -object tls,id=tls0 --password #",
        "curl -X POST --data \"{'user':'ann','password':'#'}\" h",
        "bash -c \"sh -c 'echo ann:# | chpasswd'\"",
    ],
)  # fmt: skip
@pytest.mark.parametrize("secret", ["d3luge.Flut", "Tr0ub4dor_3"])
def test_mask_covers_the_secret_alone(expected: str, secret: str) -> None:
    """`#` stands for the secret, and all else is left as it is."""
    binary, arguments = split_command(expected)
    assert redacted(arguments.replace("#", secret), binary=binary) == arguments.replace("#", "[redacted]")


@pytest.mark.parametrize(
    "line",
    [
        "tool -u ann -p summertime host",
        "tool --username ann -w wintertime",
        "tool -uann -ps3cretWord host",
    ],
)
def test_word_beside_a_user_goes(line: str) -> None:
    """A plain word is a password beside an option that names a user."""
    binary, arguments = split_command(line)
    assert "[redacted]" in redacted(arguments, binary=binary)
