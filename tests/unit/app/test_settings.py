"""app/settings.py."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, from_env, known_variables, load, unknown_variables

_APP = Path(__file__).parents[3] / "app"


def test_from_env_gives_defaults_when_nothing_is_set() -> None:
    """Without variables, Tetragon's own socket and a broker on loopback are assumed."""
    settings = from_env({})

    assert settings == Settings()
    assert settings.tetragon_address == "unix:///var/run/tetragon/tetragon.sock"
    assert settings.http_host == "127.0.0.1"


def test_from_env_reports_every_wrong_variable_by_name_when_several_are_wrong() -> None:
    """All mistakes come in one error, each line beginning with its variable."""
    environ = {
        "CALLSTREAM_HTTP_PORT": "seventy",
        "CALLSTREAM_TETRAGON_ADDRESS": "somewhere",
        "CALLSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "CALLSTREAM_TETRAGON_KEEPALIVE_SECONDS": "30",
    }

    with pytest.raises(SettingsError) as caught:
        from_env(environ)

    names = {line.split()[0] for line in caught.value.errors}
    assert {
        "CALLSTREAM_HTTP_PORT",
        "CALLSTREAM_TETRAGON_ADDRESS",
        "CALLSTREAM_TETRAGON_KEEPALIVE_SECONDS",
    } <= names


def test_from_env_names_what_is_missing_when_sasl_is_asked_for() -> None:
    """SASL without user and password file is refused at start, naming both."""
    with pytest.raises(SettingsError) as caught:
        from_env({"CALLSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"})

    text = str(caught.value)
    assert "CALLSTREAM_KAFKA_SASL_USERNAME" in text
    assert "CALLSTREAM_KAFKA_SASL_PASSWORD_FILE" in text


_OAUTH = {
    "SASL_OAUTH_TOKEN_URL": "https://issuer/token",
    "SASL_OAUTH_CLIENT_ID": "us",
    "SASL_OAUTH_CLIENT_SECRET_FILE": "/secret",
}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"SASL_MECHANISM": "OAUTHBEARER"}, ["SASL_OAUTH_TOKEN_FILE"]),
        ({"SASL_MECHANISM": "OAUTHBEARER", "SASL_OAUTH_TOKEN_FILE": "/token"}, []),
        ({"SASL_MECHANISM": "OAUTHBEARER", **_OAUTH}, []),
        ({"SASL_MECHANISM": "OAUTHBEARER", **_OAUTH, "SASL_OAUTH_CLIENT_ID": ""}, ["SASL_OAUTH_CLIENT_ID"]),
        ({"SASL_MECHANISM": "OAUTHBEARER", **_OAUTH, "SASL_USERNAME": "me"}, ["SASL_USERNAME"]),
        (
            {"SASL_MECHANISM": "OAUTHBEARER", "SASL_OAUTH_TOKEN_FILE": "/token", "SASL_OAUTH_CLIENT_ID": "us"},
            ["SASL_OAUTH_CLIENT_ID"],
        ),
        (
            {"SASL_MECHANISM": "OAUTHBEARER", **_OAUTH, "SASL_OAUTH_TOKEN_URL": "http://issuer/token"},
            ["SASL_OAUTH_TOKEN_URL"],
        ),
        ({"SASL_MECHANISM": "OAUTHBEARER", **_OAUTH, "SASL_OAUTH_TOKEN_URL": "http://127.0.0.1/token"}, []),
        ({"SASL_MECHANISM": "AWS_MSK_IAM"}, ["SASL_AWS_REGION"]),
        ({"SASL_MECHANISM": "AWS_MSK_IAM", "SASL_AWS_REGION": "eu-central-1"}, []),
        ({"SASL_USERNAME": "me", "SASL_PASSWORD_FILE": "/word", **_OAUTH}, sorted(_OAUTH)),
        ({"SASL_MECHANISM": "GSSAPI", "SASL_USERNAME": "me", "SASL_PASSWORD_FILE": "/word"}, ["SASL_MECHANISM"]),
        ({"SECURITY_PROTOCOL": "SSL", "SASL_AWS_REGION": "eu-central-1"}, ["SASL_AWS_REGION"]),
        ({"SASL_USERNAME": "me", "SASL_PASSWORD_FILE": "/word", "SASL_OAUTH_EXTENSIONS": "a"}, ["SASL_OAUTH_EXT"]),
    ],
)
def test_a_kafka_login_has_what_it_needs_and_nothing_of_another(given: dict[str, str], named: list[str]) -> None:
    """Each mistake names its variable."""
    environ = {"SECURITY_PROTOCOL": "SASL_SSL", **given}
    try:
        from_env({f"CALLSTREAM_KAFKA_{name}": value for name, value in environ.items()})
        errors = []
    except SettingsError as error:
        errors = error.errors
    assert len(errors) == len(named), errors
    for name in named:
        assert any(line.startswith(f"CALLSTREAM_KAFKA_{name}") for line in errors), errors


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"TOKEN_FILE": "/token"}, []),
        ({"TOKEN_FILE": "/token", "USERNAME": "me", "PASSWORD_FILE": "/word"}, ["TOKEN_FILE"]),
        ({"OAUTH_CLIENT_ID": "us"}, ["OAUTH_TOKEN_URL", "OAUTH_CLIENT_SECRET_FILE"]),
        (
            {"OAUTH_TOKEN_URL": "http://issuer", "OAUTH_CLIENT_ID": "us", "OAUTH_CLIENT_SECRET_FILE": "/secret"},
            ["OAUTH_TOKEN_URL"],
        ),
        ({"URL": "http://a, https://b/api"}, []),
        ({"URL": "http://a,b"}, ["URL"]),
        ({"URL": ","}, ["URL"]),
    ],
)
def test_a_registry_has_one_login(given: dict[str, str], named: list[str]) -> None:
    """And any number of addresses."""
    try:
        from_env({f"CALLSTREAM_SCHEMA_REGISTRY_{name}": value for name, value in given.items()})
        errors = []
    except SettingsError as error:
        errors = error.errors
    assert [line.split()[0] for line in errors] == [f"CALLSTREAM_SCHEMA_REGISTRY_{name}" for name in named], errors


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CALLSTREAM_TETRAGON_ADDRESS", "unix:relative/path"),
        ("CALLSTREAM_TETRAGON_ADDRESS", "localhost"),
        ("CALLSTREAM_TETRAGON_ADDRESS", "localhost:0"),
        ("CALLSTREAM_SCHEMA_REGISTRY_URL", "ftp://registry"),
        ("CALLSTREAM_SCHEMA_REGISTRY_URL", "http://user:password@registry"),
        ("CALLSTREAM_TOPIC_PREFIX", "team/a"),
        ("CALLSTREAM_LOG_FORMAT", "xml"),
        ("CALLSTREAM_PARTITIONS", "0"),
        ("CALLSTREAM_TETRAGON_TLS_CERT_FILE", "only-the-certificate.pem"),
        ("CALLSTREAM_HOT_SYMBOLS_PORT", "9467"),
        ("CALLSTREAM_HOT_SYMBOLS_PORT", "443"),
        ("CALLSTREAM_HOT_SYMBOLS_TLS_CLIENT_CA_FILE", "only-the-authority.pem"),
        ("CALLSTREAM_ADVERTISED_ADDRESS", "2001:db8::5"),
        ("CALLSTREAM_ADVERTISED_ADDRESS", "[2001:db8::5]9467"),
        ("CALLSTREAM_ADVERTISED_ADDRESS", "host:"),
        ("CALLSTREAM_ADVERTISED_ADDRESS", "host:443"),
        ("CALLSTREAM_ADVERTISED_ADDRESS", "0.0.0.0"),
        ("CALLSTREAM_ADVERTISED_ADDRESS", "[::]:9467"),
        ("CALLSTREAM_ADVERTISED_ADDRESS", "http://host:9467"),
        ("CALLSTREAM_PEER_NETWORKS", "10.0.0.1/8"),
        ("CALLSTREAM_PEER_NETWORKS", "10.0.0.0/8,everywhere"),
        ("CALLSTREAM_HOT_SYMBOLS_ALLOWED_HOSTS", "good.example,*"),
    ],
)
def test_from_env_refuses_a_value_when_it_cannot_be_meant(variable: str, value: str) -> None:
    """A value of the wrong form is refused and its variable named."""
    with pytest.raises(SettingsError, match="CALLSTREAM_"):
        from_env({variable: value})


def test_settings_error_shows_no_credentials_when_a_url_holds_them() -> None:
    """What somebody put into a URL by mistake is not repeated in the error."""
    with pytest.raises(SettingsError) as caught:
        from_env({"CALLSTREAM_SCHEMA_REGISTRY_URL": "http://user:hunter2@registry"})

    assert "hunter2" not in str(caught.value)


def test_load_names_variable_and_path_when_a_file_is_missing(tmp_path: Path) -> None:
    """A file that does not exist is reported at start, not at first use."""
    missing = tmp_path / "policy.toml"

    with pytest.raises(SettingsError) as caught:
        load({"CALLSTREAM_PRIVACY_POLICY_FILE": str(missing)})

    assert "CALLSTREAM_PRIVACY_POLICY_FILE" in str(caught.value)
    assert str(missing) in str(caught.value)


def test_unknown_variables_suggests_the_nearest_name_when_one_is_misspelt() -> None:
    """A misspelt variable is named with the one that was probably meant."""
    found = unknown_variables({"CALLSTREAM_KAFKA_BOOTSTRAP_SERVER": "x", "CALLSTREAM_SAMPLES_DIR": "y", "PATH": "z"})

    assert found == {"CALLSTREAM_KAFKA_BOOTSTRAP_SERVER": "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS"}


def test_name_puts_the_prefix_in_front_of_topics() -> None:
    """The prefix is part of every topic, group and subject name."""
    assert from_env({"CALLSTREAM_TOPIC_PREFIX": "blue."}).name("tetragon.raw") == "blue.tetragon.raw"


def test_known_variables_describes_every_setting() -> None:
    """Each variable has words for an operator."""
    assert all(doc for doc in known_variables().values())


def test_every_setting_is_read_somewhere_in_the_program() -> None:
    """One that nothing reads would be set in vain, without a word."""
    trees = [ast.parse(path.read_text()) for path in _APP.rglob("*.py") if path.name != "settings.py"]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    named = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert {one.name for one in fields(Settings)} - read - named == set()
