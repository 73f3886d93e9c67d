"""Settings: one environment variable for each field, read once, with all errors reported together and by name.

The field `x_y` is set by `CALLSTREAM_X_Y`. The names, forms and defaults of variables stand in this table and nowhere
else. Secrets are files, and a setting is only the path of one, so a printed `Settings` shows no secret. `from_env`
reads nothing but the mapping; `load` also looks whether the files can be read.
"""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from app.logins.demands import kafka_errors, registry_errors
from app.operators.errors import OperatorError
from app.operators.setting_forms import (
    IpNetwork,
    address,
    base_path,
    choice,
    networks,
    number,
    pairs,
    prefix,
    sasl_mechanism,
    url,
    urls,
)
from app.serving.address import MAX_PORT, HostPort, split_address

PREFIX = "CALLSTREAM_"

MIN_PEER_PORT: Final = 1_024
"""Ports below it belong to services of the system. No worker listens for others there or follows an address there."""

WILDCARD_HOSTS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to

TEST_ONLY_NAMES = frozenset(
    {
        "CALLSTREAM_SAMPLES_DIR",
        "CALLSTREAM_CORPORA_DIR",
        "CALLSTREAM_CONTRACT_DIR",
        "CALLSTREAM_TEST_SEED",
        "CALLSTREAM_TEST_SIZE",
        "CALLSTREAM_VULNERABILITY_DATA_DIR",
    }
)
"""Variables that only the tests read."""

MIN_KEEPALIVE_SECONDS = 300
"""The default of grpc-go, which Tetragon keeps: it cuts off a client that pings more often (ENHANCE_YOUR_CALM)."""


class SettingsError(OperatorError):
    """One or more settings are wrong. `errors` has a line for each, which begins with the variable's name."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("wrong settings:\n  " + "\n  ".join(errors))
        self.errors = errors


def _reachable(raw: str) -> str:
    """Accepts `host`, `host:port`, `[v6]` and `[v6]:port` that other workers may follow."""
    host, port = split_address(raw)
    if host in WILDCARD_HOSTS:
        raise ValueError(f"is {raw!r}, which is every address; name one that others reach")
    if port is not None and port < MIN_PEER_PORT:
        raise ValueError(f"is {raw!r}; workers follow no address with a port below {MIN_PEER_PORT}")
    return raw


def _unprivileged_port(raw: str) -> int:
    value = number(0, MAX_PORT)(raw)
    if 0 < value < MIN_PEER_PORT:
        raise ValueError(f"is {value}; write 0 or a number from {MIN_PEER_PORT} to {MAX_PORT}")
    return value


def _hosts(raw: str) -> tuple[str, ...]:
    return tuple(split_address(part.strip())[0].lower() for part in raw.split(",") if part.strip())


def _host_ports(raw: str) -> tuple[HostPort, ...]:
    found = []
    for text in filter(None, (part.strip() for part in raw.split(","))):
        host, port = split_address(text)
        if port is None:
            raise ValueError(f"has {text!r} without a port; write host:port")
        if host in WILDCARD_HOSTS:
            raise ValueError(f"has {text!r}, which is every address; name one that answers")
        found.append(HostPort(host, port))
    return tuple(found)


def _setting(parse: Callable[[str], Any], default: Any, doc: str, *, kind: str = "") -> Any:
    return field(default=default, metadata={"parse": parse, "doc": doc, "kind": kind})


def _file(doc: str) -> Any:
    """A setting that is the path of a file, and not set by default."""
    return _setting(Path, None, doc, kind="file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an operator can set. Each field's `doc` is what `callstream doctor --settings` prints."""

    # Tetragon
    tetragon_address: str = _setting(
        address, "unix:///var/run/tetragon/tetragon.sock", "where Tetragon's gRPC API listens"
    )
    tetragon_tls_ca_file: Path | None = _file("CA that signed Tetragon's certificate")
    tetragon_tls_cert_file: Path | None = _file("our client certificate")
    tetragon_tls_key_file: Path | None = _file("our client key")
    tetragon_tls_server_name: str = _setting(str, "", "name to expect in Tetragon's certificate")
    tetragon_allow_list: str = _setting(
        str, "", "JSON list of tetragon.Filter: the only events to send, beside loader, throttle and rate-limit events"
    )
    tetragon_deny_list: str = _setting(str, "", "JSON list of tetragon.Filter: events not to send")
    tetragon_field_filters: str = _setting(str, "", "JSON list of tetragon.FieldFilter")
    tetragon_keepalive_seconds: int = _setting(
        number(MIN_KEEPALIVE_SECONDS, 86_400), 600, "pause between keepalive pings; Tetragon refuses less than 300"
    )
    tetragon_metrics_url: str = _setting(
        url, "", "Tetragon's metrics page, scraped for its loss counters; without it no time counts as complete"
    )
    policy_hooks_file: Path | None = _file("TOML map from policy name to hook kind (fentry, fexit, uretprobe)")

    # Kafka
    kafka_bootstrap_servers: str = _setting(str, "127.0.0.1:9092", "brokers, host:port separated by commas")
    kafka_security_protocol: str = _setting(
        choice("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"), "PLAINTEXT", "as in Kafka's own clients"
    )
    kafka_ssl_ca_file: Path | None = _file("CA that signed the brokers' certificates")
    kafka_ssl_cert_file: Path | None = _file("our client certificate")
    kafka_ssl_key_file: Path | None = _file("our client key")
    kafka_sasl_mechanism: str = _setting(
        sasl_mechanism,
        "SCRAM-SHA-512",
        "how we log in: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM",
    )
    kafka_sasl_username: str = _setting(str, "", "SASL user")
    kafka_sasl_password_file: Path | None = _file("file with the SASL password")
    kafka_sasl_oauth_token_file: Path | None = _file(
        "file with a token for OAUTHBEARER, which somebody renews; read again before it ends"
    )
    kafka_sasl_oauth_token_url: str = _setting(
        url, "", "token endpoint of the identity provider that gives tokens for OAUTHBEARER (client credentials)"
    )
    kafka_sasl_oauth_client_id: str = _setting(str, "", "what the identity provider knows us as")
    kafka_sasl_oauth_client_secret_file: Path | None = _file("file with our secret for the identity provider")
    kafka_sasl_oauth_scope: str = _setting(str, "", "scopes to ask for, separated by spaces")
    kafka_sasl_oauth_ca_file: Path | None = _file("CA of the identity provider's certificate")
    kafka_sasl_oauth_extensions: tuple[tuple[str, str], ...] = _setting(
        pairs, (), "NAME=VALUE,... that the broker wants beside the token, such as logicalCluster=lkc-1"
    )
    kafka_sasl_aws_region: str = _setting(str, "", "AWS region of the cluster, for AWS_MSK_IAM")
    topic_prefix: str = _setting(prefix, "", "put in front of every topic, group and subject name")
    partitions: int | None = _setting(
        number(1, 1024),
        None,
        "partitions of every pipeline topic that `topics apply` creates; if not set, as many as existing ones have, "
        "else 12 on three brokers or more, and 4 on fewer",
    )
    replication_factor: int | None = _setting(
        number(1, 7),
        None,
        "replicas of every topic that `topics apply` creates; if not set, 3 on three brokers or more, and 1 on fewer",
    )

    # Schema registry
    schema_registry_url: str = _setting(
        urls,
        "http://127.0.0.1:8081/apis/ccompat/v7",
        "registry with Confluent's REST interface; several addresses of one registry are separated by commas",
    )
    schema_registry_ssl_ca_file: Path | None = _file("CA of the registry's certificate")
    schema_registry_ssl_cert_file: Path | None = _file("our client certificate")
    schema_registry_ssl_key_file: Path | None = _file("our client key")
    schema_registry_username: str = _setting(str, "", "user for HTTP basic authentication")
    schema_registry_password_file: Path | None = _file("file with that user's password")
    schema_registry_token_file: Path | None = _file("file with a bearer token, which somebody renews")
    schema_registry_oauth_token_url: str = _setting(
        url, "", "token endpoint of the identity provider that gives bearer tokens (client credentials)"
    )
    schema_registry_oauth_client_id: str = _setting(str, "", "what the identity provider knows us as")
    schema_registry_oauth_client_secret_file: Path | None = _file("file with our secret for the identity provider")
    schema_registry_oauth_scope: str = _setting(str, "", "scopes to ask for, separated by spaces")
    schema_registry_oauth_ca_file: Path | None = _file("CA of the identity provider's certificate")

    # Ingest
    overload_grace_ms: int = _setting(
        number(0, 3_600_000),
        5_000,
        "how long ingest stops reading when its buffer is full, before it drops the oldest events",
    )
    buffer_max_events: int = _setting(number(1, 100_000_000), 200_000, "events that ingest holds for a slow Kafka")
    buffer_max_bytes: int = _setting(number(1 << 16, 1 << 40), 256 << 20, "bytes that ingest holds for a slow Kafka")
    spill_dir: Path | None = _setting(Path, None, "folder for events that do not fit into the buffer", kind="folder")
    spill_max_bytes: int = _setting(number(1 << 20, 1 << 44), 4 << 30, "most bytes that the spill folder may take")
    spill_sync_ms: int = _setting(
        number(0, 3_600_000), 1_000, "longest wait of spilled events for a sync to disk; 0 syncs every write"
    )
    heartbeat_seconds: int = _setting(number(1, 3600), 10, "pause between the heartbeats of a node on runtime.coverage")
    tracing_policies_dir: Path | None = _setting(
        Path, None, "folder with the tracing policies that agents have, as YAML or JSON", kind="folder"
    )
    policy_poll_seconds: int = _setting(
        number(1, 3600), 30, "pause between two questions to the agent for its policies, for runtime.probes"
    )

    # Stages
    data_dir: Path = _setting(Path, Path("callstream-data"), "folder for state that can be made again from Kafka")
    worker_index: int | None = _setting(
        number(0, 4096), None, "number of a worker of its stage on this host; a free one if not set"
    )
    privacy_policy_file: Path | None = _file("privacy policy; the built-in one if not set")
    privacy_key_file: Path | None = _file("key for pseudonyms; without it, values are masked instead")
    symbol_store_dir: Path | None = _setting(Path, None, "symbol indexes made by `symbols add`")
    vulnerability_dir: Path | None = _setting(Path, None, "vulnerability databases taken by `vulnerabilities load`")

    dead_letter_max_run: int = _setting(
        number(0, 100_000_000),
        1_000,
        "refused records in a row at which a stage stops, or 0 for no limit. Single bad events stay far below it",
    )
    dead_letter_max_percent: int = _setting(
        number(1, 100),
        25,
        "refused share of the last 10,000 records at which a stage stops; 100 for never. A kind of event that a newer "
        "agent sends is rarely a quarter of all",
    )

    hot_symbol_expiry_days: int = _setting(
        number(0, 36_500),
        90,
        "days for which the row of an unwatched symbol is kept after its last hit; 0 for no end",
    )

    # Operation
    http_host: str = _setting(str, "127.0.0.1", "address that /metrics, /healthz and /readyz listen on")
    http_port: int = _setting(number(0, 65_535), 0, "their port; 0 picks a free one and logs it")
    process_addresses: tuple[HostPort, ...] = _setting(
        _host_ports,
        (),
        "where `top` and `books` find the processes: host:port of each one's /metrics, separated by commas. All "
        "addresses of a name count. If not set, the workers of this host, on CALLSTREAM_HTTP_PORT and the next ports",
    )
    hot_symbols_host: str = _setting(str, "127.0.0.1", "address that /hot-symbols listens on")
    hot_symbols_port: int | None = _setting(
        _unprivileged_port,
        None,
        "port of /hot-symbols, which is off if this is not set; 0 picks a free one and logs it",
    )
    hot_symbols_token_file: Path | None = _setting(
        Path, None, "file with the token that clients of /hot-symbols, and other workers, must show", kind="file"
    )
    hot_symbols_tls_cert_file: Path | None = _setting(
        Path, None, "certificate of /hot-symbols, for the advertised address; also shown to other workers", kind="file"
    )
    hot_symbols_tls_key_file: Path | None = _setting(Path, None, "its key", kind="file")
    hot_symbols_tls_client_ca_file: Path | None = _setting(
        Path, None, "CA that must have signed the certificates of clients and of other workers", kind="file"
    )
    hot_symbols_allowed_hosts: tuple[str, ...] = _setting(
        _hosts, (), "names that a request's Host may have; if not set, what it listens on and what it advertises"
    )
    advertised_address: str = _setting(
        _reachable, "", "host or host:port under which other workers reach /hot-symbols; [address]:port for IPv6"
    )
    peer_networks: tuple[IpNetwork, ...] = _setting(
        networks,
        (),
        "networks, as CIDR, in which a worker queries others; if not set, loopback and the /24 (IPv6: /64) of what it "
        "advertises",
    )
    console_host: str = _setting(str, "127.0.0.1", "address that the console listens on")
    console_port: int = _setting(number(0, MAX_PORT), 9480, "its port; 0 picks a free one and prints it")
    console_token_file: Path | None = _file(
        "file with the token that people must show; on loopback the console makes and prints one if this is not set"
    )
    console_tls_cert_file: Path | None = _file("certificate of the console")
    console_tls_key_file: Path | None = _file("its key")
    console_tls_client_ca_file: Path | None = _file(
        "CA that must have signed the certificates of people's browsers; then the console needs no token"
    )
    console_allowed_hosts: tuple[str, ...] = _setting(
        _hosts, (), "names that a request's Host may have; if not set, what the console listens on"
    )
    console_base_path: str = _setting(
        base_path, "/", "path of the console behind a proxy, such as /callstream/; the proxy leaves it in the request"
    )
    console_workers: tuple[HostPort, ...] = _setting(
        _host_ports, (), "host:port of /hot-symbols of workers, separated by commas, which the console asks for aliases"
    )
    log_format: str = _setting(choice("json", "text"), "json", "how log lines are written to standard error")
    log_level: str = _setting(choice("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "least severity to log")

    def name(self, base: str) -> str:
        """The full name of a topic, consumer group or subject, with the prefix."""
        return self.topic_prefix + base


def variable_of(field_name: str) -> str:
    """The environment variable that sets a field of `Settings`."""
    return PREFIX + field_name.upper()


def known_variables() -> dict[str, str]:
    """Every variable with its purpose, in the order of `Settings`."""
    return {variable_of(f.name): f.metadata["doc"] for f in fields(Settings)}


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables with our prefix that are not settings, each with the most similar setting, or "" if none is similar."""
    known = set(known_variables()) | TEST_ONLY_NAMES
    strange = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return {name: "".join(difflib.get_close_matches(name, known, n=1)) for name in strange}


def from_env(environ: Mapping[str, str]) -> Settings:
    """Read settings from a mapping, and look at no file. An empty value means "not set".

    Raises SettingsError, which names every variable that is wrong.
    """
    values: dict[str, Any] = {}
    errors: list[str] = []
    for f in fields(Settings):
        raw = environ.get(variable_of(f.name), "").strip()
        if not raw:
            continue
        try:
            values[f.name] = f.metadata["parse"](raw)
        except ValueError as error:
            errors.append(f"{variable_of(f.name)} {error}")
    settings = Settings(**values)
    errors += _conflicts(settings)
    if errors:
        raise SettingsError(errors)
    return settings


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read settings, and check that the files that they name can be read.

    Raises SettingsError with everything that is wrong, in the values or in the files.
    """
    settings = from_env(environ)
    errors: list[str] = []
    for f in fields(Settings):
        path = getattr(settings, f.name)
        if path is None or not f.metadata["kind"]:
            continue
        if f.metadata["kind"] == "file" and not os.access(path, os.R_OK):
            reason = "cannot be read" if path.exists() else "does not exist"
            errors.append(f"{variable_of(f.name)} names {path}, which {reason}")
        if f.metadata["kind"] == "folder" and path.exists() and not path.is_dir():
            errors.append(f"{variable_of(f.name)} names {path}, which is not a folder")
    if errors:
        raise SettingsError(errors)
    return settings


def _conflicts(settings: Settings) -> list[str]:
    """Errors of settings that are right alone and wrong together."""
    errors: list[str] = []
    for service in ("tetragon_tls", "kafka_ssl", "schema_registry_ssl", "hot_symbols_tls", "console_tls"):
        cert, key = getattr(settings, f"{service}_cert_file"), getattr(settings, f"{service}_key_file")
        if (cert is None) != (key is None):
            missing = f"{service}_key_file" if key is None else f"{service}_cert_file"
            errors.append(f"{variable_of(missing)} is not set, but a certificate and its key go together")
    given = {f.name: getattr(settings, f.name) for f in fields(settings)}
    errors += kafka_errors(given, variable_of) + registry_errors(given, variable_of)
    if not settings.kafka_security_protocol.endswith("SSL") and settings.kafka_ssl_ca_file is not None:
        errors.append("CALLSTREAM_KAFKA_SSL_CA_FILE is set, but CALLSTREAM_KAFKA_SECURITY_PROTOCOL uses no TLS")
    if settings.hot_symbols_tls_client_ca_file is not None and settings.hot_symbols_tls_cert_file is None:
        errors.append(
            "CALLSTREAM_HOT_SYMBOLS_TLS_CERT_FILE is not set, but certificates of clients need TLS, which needs one"
        )
    if settings.console_tls_client_ca_file is not None and settings.console_tls_cert_file is None:
        errors.append("CALLSTREAM_CONSOLE_TLS_CERT_FILE is not set, but certificates of browsers need TLS")
    if (
        settings.hot_symbols_port is not None
        and settings.hot_symbols_token_file is None
        and settings.hot_symbols_tls_client_ca_file is None
    ):
        errors.append(
            "CALLSTREAM_HOT_SYMBOLS_PORT is set, but nothing says who may ask: set "
            "CALLSTREAM_HOT_SYMBOLS_TOKEN_FILE, or CALLSTREAM_HOT_SYMBOLS_TLS_CLIENT_CA_FILE"
        )
    return errors
