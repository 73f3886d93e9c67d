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
