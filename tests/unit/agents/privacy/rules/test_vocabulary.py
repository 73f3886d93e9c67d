"""agents/privacy/rules/vocabulary.py and values.py: which names announce a secret, and which values cannot be one."""

import pytest

from agents.privacy.rules.values import is_no_secret, is_place, looks_secret
from agents.privacy.rules.vocabulary import KeyKind, kind_of_key, name_parts


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("--password", KeyKind.PASSWORD),
        ("PGPASSWORD", KeyKind.PASSWORD),
        ("--PASSword", KeyKind.PASSWORD),
        ("keyStorePassword", KeyKind.PASSWORD),
        ("mysql_pwd", KeyKind.PASSWORD),
        ("requirepass", KeyKind.PASSWORD),
        ("password_mysql", KeyKind.PASSWORD),
        ("password_hash", KeyKind.PASSWORD),
        ("--token", KeyKind.KEY),
        ("stripetoken", KeyKind.KEY),
        ("DD_API_KEY", KeyKind.KEY),
        ("aws_secret_access_key", KeyKind.KEY),
        ("AWS_ACCESS_KEY_ID", KeyKind.KEY),
        ("clientSecret", KeyKind.KEY),
        ("community_string", KeyKind.KEY),
        ("secret_id", KeyKind.WEAK),
        ("Proxy-Authorization", KeyKind.AUTHORIZATION),
        ("Set-Cookie", KeyKind.COOKIE),
        ("--key", KeyKind.WEAK),
        ("--auth", KeyKind.WEAK),
        ("session", KeyKind.WEAK),
        ("--password-file", KeyKind.NONE),
        ("--token-ttl", KeyKind.NONE),
        ("secretName", KeyKind.NONE),
        ("--no-password", KeyKind.NONE),
        ("min_password_length", KeyKind.NONE),
        ("token_endpoint", KeyKind.NONE),
        ("discovery-token-ca-cert-hash", KeyKind.NONE),
        ("compass", KeyKind.NONE),
        ("--bypass", KeyKind.NONE),
        ("tokenizer", KeyKind.NONE),
        ("keyboard", KeyKind.NONE),
        ("author", KeyKind.NONE),
        ("path", KeyKind.NONE),
        ("", KeyKind.NONE),
        ("---", KeyKind.NONE),
    ],
)
def test_name_announces_what_its_words_say(name: str, kind: KeyKind) -> None:
    """Names are read as a person reads them."""
    assert kind_of_key(name) is kind


def test_words_are_split_at_separators_and_capitals() -> None:
    """Digits behind a word do not count as a word."""
    assert name_parts("aws_secretAccessKey-ID2.foo") == ["aws", "secret", "access", "key", "id", "foo"]
    assert name_parts("HTTPServer") == ["http", "server"]


@pytest.mark.parametrize(
    "value", ["", "true", "None", "$PASSWORD", "${DB_PASS}", "{{ secret }}", "%PASS%", "*****", "basic"]
)
def test_value_that_cannot_be_a_secret_is_spared(value: str) -> None:
    """Switches, variables that were not expanded, templates and masks."""
    assert is_no_secret(value)


@pytest.mark.parametrize(
    "value", ["x", "hunter2", "$6$salt$hash", "$abc", "$PASSWORD1", "%x", "truelove", "[redacted]x"]
)
def test_value_that_only_begins_so_is_not_spared(value: str) -> None:
    """Whoever is not sure redacts."""
    assert not is_no_secret(value)


def test_place_is_a_path_with_a_known_folder_or_an_address() -> None:
    """Random base 64 begins with a slash too."""
    assert is_place("/etc/app/key.pem")
    assert is_place("https://vault.example.org/x")
    assert is_place("./secret.txt")
    assert not is_place("/kTHOuyrd09sOx3hHrDlMQ+abc")


def test_random_value_looks_secret_and_a_word_does_not() -> None:
    """Where a name leaves a doubt, the value decides."""
    assert looks_secret("3290abeefc68e1bbe852a25252bad88c")
    assert looks_secret("user:hunter")
    for value in ("created_at", "eu-north-1", "localhost:8080", "value", "/etc/app.conf", "user name"):
        assert not looks_secret(value)
