"""How our clients reach Kafka: addresses, TLS and SASL from the settings, and why they cannot.

Secrets are read from their files when a client is made, and a configuration of librdkafka never shows them. What says
aiokafka is for its clients, everything else for librdkafka's. The Faust stages set up their consumer elsewhere.
"""

import ssl
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import BrokerResponseError
from aiokafka.errors import KafkaError as ConsumerError
from aiokafka.errors import KafkaTimeoutError as AnswerOverdueError
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata, TopicMetadata

from app.kafka import renewed_login
from app.kafka.listening import first_answer, words_of
from app.kafka.login import TOKEN_MECHANISM, aiokafka_login, librdkafka_login
from app.logins.token import TokenError
from app.operators.errors import ServerError
from app.settings import Settings, SettingsError, variable_of
from app.tls import Peer, TlsFiles, TlsVariables, tls_trouble
from schemas import topics

if TYPE_CHECKING:
    from concurrent.futures import Future

_TLS_SETTINGS: Final = TlsVariables(
    ca=variable_of("kafka_ssl_ca_file"),
    cert=variable_of("kafka_ssl_cert_file"),
    key=variable_of("kafka_ssl_key_file"),
    name_remedy=f"write the name that it is for into {variable_of('kafka_bootstrap_servers')}",
    use_tls=f"set {variable_of('kafka_security_protocol')} to SSL or SASL_SSL",
    no_tls=f"set {variable_of('kafka_security_protocol')} to PLAINTEXT or SASL_PLAINTEXT, or use its TLS port",
)

_SECRETS: Final = frozenset({"sasl.password", "ssl.key.password"})

REFUSALS: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - librdkafka's public error codes have this form in Python
        KafkaError._SSL,  # noqa: SLF001 - as above
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    }
)
"""Errors that do not go away by waiting."""

CONNECTION_ERRORS: Final = frozenset(
    {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT}  # noqa: SLF001 - as above
)
"""No broker answers, or one has stopped to."""

_NOT_READY: Final = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_CONTROLLER,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
"""What brokers answer while one of them is away or has just come back. An unknown topic is not among them: it may be
gone for good."""

ISOLATION_LEVEL: Final = "read_committed"
"""How every consumer of ours reads transactions: a raw topic may be written by a mirror that uses them. What an aborted
one wrote is read by nobody, so stages, archives, replays and books agree on what happened."""

READING: Final[Mapping[str, Any]] = {"isolation.level": ISOLATION_LEVEL, "enable.auto.commit": False}
"""What every librdkafka consumer of ours has."""

LOSSLESS_PRODUCER: Final[Mapping[str, Any]] = {
    "acks": "all",
    "enable.idempotence": True,
    "message.timeout.ms": 0,
}
"""What every producer of the pipeline's own records has. A record counts as written when all replicas in sync have it;
a repetition after a broken connection is neither a second record nor out of order; and no record expires while a
broker is away, for that would be a loss that nobody counts. So each producer bounds its waiting by other means."""


ADMIN_SECONDS: Final = 10.0
"""How long one request to the cluster may take."""

SEEN_SECONDS: Final = 30.0
"""How long all brokers may take to know of a change that one of them has made: a busy one takes its time."""


class KafkaUnusableError(ServerError):
    """Kafka answers and does not let us do our work, or a topic is missing. The message says what to do."""


class KafkaUnreachableError(ServerError):
    """No broker answered in time. The message names the addresses."""


def is_away(error: BaseException) -> bool:
    """Whether an error of a Kafka client, of either library, says no more than that no broker serves us now."""
    match error:
        case KafkaException():
            return error.args[0].code() in CONNECTION_ERRORS | _NOT_READY
        case BrokerResponseError():
            return error.errno in _NOT_READY
        case ConsumerError():
            return bool(error.retriable) or isinstance(error, AnswerOverdueError)
        case _:
            return False


class ClientConfig(dict[str, Any]):
    """A librdkafka configuration that prints without its secrets."""

    def __repr__(self) -> str:
        shown = {name: "(hidden)" if name in _SECRETS else value for name, value in self.items()}
        return f"ClientConfig({shown!r})"

    def __or__(self, more: dict[str, Any]) -> "ClientConfig":  # type: ignore[override]  # keys are texts
        """Merge into another one that hides its secrets."""
        return ClientConfig({**self, **more})


def client_config(settings: Settings, **more: object) -> ClientConfig:
    """Options of every librdkafka client of ours; `more` adds options, with `_` for `.` in names.

    Raises SettingsError if the password file is empty, OSError if it cannot be read; KafkaUnusableError and
    KafkaUnreachableError if there is no token.
    """
    config = ClientConfig(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "security.protocol": settings.kafka_security_protocol,
            "client.id": "callstream",
            "socket.keepalive.enable": True,
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 2_000,  # the default of 10 s would double a restarted broker's outage
            "log_level": 3,  # errors; warnings repeat what error_cb gets
        }
    )
    if settings.kafka_security_protocol.endswith("SSL"):
        config |= {
            name: str(path)
            for name, path in (
                ("ssl.ca.location", settings.kafka_ssl_ca_file),
                ("ssl.certificate.location", settings.kafka_ssl_cert_file),
                ("ssl.key.location", settings.kafka_ssl_key_file),
            )
            if path is not None
        }
    if settings.kafka_security_protocol.startswith("SASL_"):
        config |= _by_token(settings) or {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.username": settings.kafka_sasl_username,
            "sasl.password": _password(settings),
        }
    config |= {name.replace("_", "."): value for name, value in more.items()}
    return config


def _by_token(settings: Settings) -> dict[str, Any] | None:
    """A login by token, if that is how we log in. Raises KafkaUnusableError, KafkaUnreachableError."""
    try:
        return librdkafka_login(settings)
    except TokenError as error:
        raise _tokenless(error) from None


def _tokenless(error: TokenError) -> KafkaUnusableError | KafkaUnreachableError:
    return KafkaUnreachableError(str(error)) if error.passing else KafkaUnusableError(str(error))


def tls_context(settings: Settings) -> ssl.SSLContext:
    """What aiokafka's clients need for TLS. Raises OSError for files that cannot be read, ssl.SSLError."""
    context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
    if settings.kafka_ssl_cert_file is not None:
        context.load_cert_chain(settings.kafka_ssl_cert_file, settings.kafka_ssl_key_file)
    return context


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """How every aiokafka client of ours connects. Raises what `client_config` and `tls_context` raise."""
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in settings.kafka_bootstrap_servers.split(",")],
        "client_id": "callstream",
        "security_protocol": protocol,
    }
    if protocol.endswith("SSL"):
        options["ssl_context"] = tls_context(settings)
    renewed_login.install()
    if (provider := aiokafka_login(settings)) is not None:
        options |= {"sasl_mechanism": TOKEN_MECHANISM, "sasl_oauth_token_provider": provider}
    elif protocol.startswith("SASL_"):
        config = client_config(settings)
        options |= {
            "sasl_mechanism": config["sasl.mechanism"],
            "sasl_plain_username": config["sasl.username"],
            "sasl_plain_password": config["sasl.password"],
        }
    return options


class AdminConnection:
    """An admin client that can say why no broker answers, and why a request was refused."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._where = config["bootstrap.servers"]
        self._heard: deque[KafkaError] = deque(maxlen=8)
        self.client: Final = AdminClient(config | {"error_cb": self._heard.append, "log_level": 0})

    def metadata(self, timeout_seconds: float, topic: str | None = None) -> ClusterMetadata:
        """What the cluster has: of one topic, or of all that we may see.

        Raises KafkaUnreachableError if no broker answers in time, KafkaUnusableError if one refuses us.
        """

        def ask(seconds: float) -> ClusterMetadata:
            if topic is None:
                return self.client.list_topics(timeout=seconds)
            return self.client.list_topics(topic, timeout=seconds)

        try:
            return first_answer(self._where, timeout_seconds, ask)
        except KafkaException as error:
            self.client.poll(0)  # hands over the connections' own errors, which say more than that all brokers are down
            raise self._problem(error.args[0]) from None

    def result(self, answer: "Future[Any]", what: str, *, fine: int | None = None) -> Any:
        """Wait for the answer to a request. An error with the code `fine` counts as one, and gives None.

        `what` says what has failed otherwise. Raises KafkaUnreachableError if no broker answers within
        `ADMIN_SECONDS`, KafkaUnusableError if one refuses.
        """
        try:
            return answer.result(ADMIN_SECONDS)
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() == fine:
                return None
            if reason.code() in CONNECTION_ERRORS:
                raise KafkaUnreachableError(
                    f"no Kafka broker answers at {self._where}: {words_of(reason.str())}"
                ) from None
            way_out = ""
            if reason.code() == KafkaError.SECURITY_DISABLED:
                way_out = "; the brokers enforce no rules: set authorizer.class.name"
            raise KafkaUnusableError(f"{what}: {reason.str()}{way_out}") from None
        except TimeoutError:
            raise KafkaUnreachableError(f"{what}: no answer after {ADMIN_SECONDS:.0f} s") from None

    def _problem(self, error: KafkaError) -> KafkaUnusableError | KafkaUnreachableError:
        tokens = self._config.get("oauth_cb")
        if tokens is not None and (trouble := tokens.source.trouble) is not None:
            return _tokenless(trouble)
        reasons = [one for one in self._heard if one.code() != KafkaError._ALL_BROKERS_DOWN] or [error]  # noqa: SLF001 - a public error code
        refusals = [one for one in reasons if one.code() in REFUSALS]
        if mistake := tls_mistake(self._config, refusals):
            return KafkaUnusableError(mistake)
        if refusals:
            return KafkaUnusableError(f"Kafka at {self._where} refuses us: {refusals[0].str()}")
        return KafkaUnreachableError(f"no Kafka broker answers at {self._where}: {words_of(reasons[0].str())}")


def partition_count(settings: Settings, topic: str, timeout_seconds: float) -> int:
    """Number of partitions of a topic, prefix included in its name; see `partition_counts`."""
    return partition_counts(settings, (topic,), timeout_seconds)[topic]


def partition_counts(settings: Settings, names: Iterable[str], timeout_seconds: float) -> dict[str, int]:
    """Number of partitions of topics, prefix included in their names, read over one connection.

    Raises KafkaUnreachableError if no broker answers within `timeout_seconds`, KafkaUnusableError if a topic does not
    exist or the broker refuses us.
    """
    connection = AdminConnection(client_config(settings))
    return {
        name: _partitions(settings, connection.metadata(timeout_seconds, name).topics[name], name) for name in names
    }


def _partitions(settings: Settings, found: TopicMetadata, topic: str) -> int:
    where = settings.kafka_bootstrap_servers
    if found.error is None:
        return len(found.partitions)
    if found.error.code() in REFUSALS:
        raise KafkaUnusableError(f"Kafka at {where} refuses us the topic {topic}: {found.error.str()}")
    maker = "callstream topics apply" if topics.version_of(topic) is None else "callstream reprocess"
    raise KafkaUnusableError(f"Kafka at {where} has no topic {topic}; create it with: {maker}")


def tls_mistake(config: ClientConfig, refusals: Iterable[KafkaError] = ()) -> str | None:
    """What is wrong with TLS on the way to the first broker that listens; None if nothing is, or no broker listens.

    Nothing is tried if `refusals` has another error than TLS, for then TLS works.
    """
    if any(one.code() != KafkaError._SSL for one in refusals):  # noqa: SLF001 - a public error code
        return None
    uses_tls = config["security.protocol"].endswith("SSL")
    ca, cert, key = (config.get(f"ssl.{what}.location") for what in ("ca", "certificate", "key"))
    files = TlsFiles(*(None if path is None else Path(path) for path in (ca, cert, key)))
    for server in config["bootstrap.servers"].split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdigit():
            continue
        bare = host.strip("[]")
        peer = Peer(f"Kafka at {server.strip()}", bare, int(port), bare, _TLS_SETTINGS)
        found = tls_trouble(peer, files if uses_tls else None)
        if found is None or found.misconfigured:
            return None if found is None else found.text
    return None


def _password(settings: Settings) -> str:
    """First line of the password file, without its end."""
    path = settings.kafka_sasl_password_file
    assert path is not None
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0]:
        raise SettingsError([f"CALLSTREAM_KAFKA_SASL_PASSWORD_FILE names {path}, whose first line is empty"])
    return lines[0]
