"""agents/privacy/verifier.py: a second opinion that finds what left, and is silent about what is masked."""

import base64
import time

import pytest

from agents.privacy.verifier import Verifier
from tests.support.privacy import lines, redacted


def _rules(text: str) -> set[str]:
    return {finding.rule for finding in Verifier().findings({"field": text})}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("mysqldump --password hunter2", "option-secret"),
        ("PGPASSWORD=hunter2 psql", "named-secret"),
        ('{"api_key": "hunter2"}', "named-secret"),
        ("postgres://ann:hunter2@db/x", "url-password"),
        ("Authorization: Bearer abcdef123", "authorization"),
        ("AKI" + "AABCDEFGHIJKLMNOP", "cloud-key"),
        ("gh" + "p_" + "a1B2" * 9, "vendor-token"),
        ("ey" + "JhbGciOiJI.ey" + "Jzdwb", "web-token"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA", "key-block"),
        ("/home/ann/src", "home"),
        ("/root/.ssh/id_rsa", "credential-file"),
        ("/proc/12/environ", "credential-file"),
        ("tool run zT7pQx9LmB3vKr8WnY2c", "random-word"),
        ("tool --code Summer2024", "hinted-secret"),
        ("notify 'the password is K7mQ2vXa'", "named-secret"),
        ("wget https://files.example/d/Hn3vXe8Jc5Qy1GtM6oFa/x", "random-word"),
        ("boxctl up -ZkW9xv2Lq", "random-word"),
        ("boxctl recover k3x9-mq72-vz8d", "random-word"),
        ("boxctl --kennwort=sonnenblume", "foreign-secret"),
        ("boxctl --hatch q7wNz3Rt", "random-word"),
        ("boxctl restore legal winner thank year wave sausage worth useful legal winner thank yellow", "word-phrase"),
        ("fetch --hdr YWRtaW46czNjcjN0cHc=", "encoded-secret"),
    ],
)
def test_verifier_finds_what_should_not_have_left(text: str, rule: str) -> None:
    """Each rule sees its form."""
    assert rule in _rules(text)


def test_verifier_is_silent_about_what_the_filter_let_out() -> None:
    """Every form of the table and every ordinary line, after redaction."""
    texts = [form.replace("{S}", "Tr0ub4dorAnd3").replace("\\n", "\n") for form in lines("secret_forms.txt")] + lines(
        "ordinary_commands.txt"
    )
    assert [text for text in map(redacted, texts) if _rules(text)] == []


def test_verifier_sees_secrets_in_most_forms_of_the_table() -> None:
    """It knows fewer forms than the filter, but enough to notice when the filter does nothing."""
    forms = [form.replace("{S}", "Tr0ub4dorAnd3").replace("\\n", "\n") for form in lines("secret_forms.txt")]
    assert sum(bool(_rules(form)) for form in forms) > len(forms) // 4


def test_finding_names_the_field_and_never_the_value() -> None:
    """However deep the field is."""
    record = {"process": {"arguments": "--password=hunter2"}, "tags": ["ok", "/home/ann"], "pid": 3, "none": None}
    found = list(Verifier().findings(record))
    assert {(finding.field, finding.rule) for finding in found} == {
        ("process.arguments", "named-secret"),
        ("tags[1]", "home"),
    }
    assert "hunter2" not in repr(found)


def test_needle_is_found_in_any_encoding() -> None:
    """Plain, hexadecimal and base 64 at any alignment, in texts and in bytes."""
    verifier = Verifier(["cnry-needle-1"])
    for text in (
        "x cnry-needle-1 y",
        b"cnry-needle-1".hex(),
        base64.b64encode(b"a:cnry-needle-1:b").decode(),
        base64.b64encode(b"ab:cnry-needle-1:b").decode(),
        base64.b64encode(b"abc:cnry-needle-1:b").decode(),
        b"cnry-needle-1".hex().upper(),
        b"cnry-needle-1".hex(":"),
        "".join(f"%{byte:02X}" for byte in b"cnry-needle-1"),
        "CNRY-NEEDLE-1",
        "cnry-needle-1".encode("utf-16-le").decode(),
    ):
        assert "needle" in {finding.rule for finding in verifier.findings({"field": text})}
        assert "needle" in {finding.rule for finding in verifier.findings(text.encode(), "value")}
    assert not list(verifier.findings({"field": "nothing"}))


def test_long_text_is_looked_at_to_its_end() -> None:
    """Also across the border of two pieces."""
    for padding in (4000, 4090, 9000):
        assert "named-secret" in _rules("x " * padding + "password=hunter2")


@pytest.mark.parametrize(
    "text",
    [
        "app::secret::Key::new",
        "auth::password::verify(char const*)",
        "Password::operator=(Password&&)",
        "cargo test -- secret::tests",
        "{{username}}:{{password}}@host",
        "docker pull app@sha256:683e11f4cff5935ddf94f468efe8dcab8f8bab6eb2d1d8b3abe79c8b5ab4006d",
        "java -cp x org.example.QueryableStateDescriptorFactory2Impl",
    ],
)
def test_verifier_is_silent_about_names_of_code(text: str) -> None:
    """A name space called `secret` rings on no node."""
    assert _rules(text) == set()


@pytest.mark.parametrize(
    "piece",
    ["a", "aA1/", "aA1+", "a.b", "-", "4", "DE89 ", "x=", "a:", "a-b-", "%70", "\\x61", "&#97;", "$6$", "http://a:b@",
     "eyJ", "AAAA-", "[redacted]", "word ", "a1:", "'\"", "(", "0a:", "é"],
)  # fmt: skip
def test_no_text_takes_long(piece: str) -> None:
    """Attackers choose the arguments: 20 kB of a piece that is made to be slow, and with an end that does not fit."""
    text = piece * (20_000 // len(piece)) + " \x00!"
    began = time.process_time()
    list(Verifier(["cnry-needle-1"]).findings({"binary": "/bin/x", "arguments": text}))
    assert time.process_time() - began < 2.0  # a hundred times what it takes
