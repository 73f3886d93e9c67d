"""Tokens for Kafka, from one source for librdkafka's clients and aiokafka's."""

import asyncio
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, Final

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

from app.logins.aws_iam import sign_token
from app.logins.client_credentials import OauthClient, OauthVariables
from app.logins.source import TokenSource
from app.logins.token import TokenError
from app.logins.token_file import read_token_file
from app.settings import Settings, variable_of

TOKEN_MECHANISM: Final = "OAUTHBEARER"  # noqa: S105 - the name of a mechanism
"""What brokers call a login by token; MSK's is the same with another token."""

_SOURCES_KEPT: Final = 16
"""A process has one; tests have more."""

_VARIABLES: Final = OauthVariables(
    token_url=variable_of("kafka_sasl_oauth_token_url"),
    client_id=variable_of("kafka_sasl_oauth_client_id"),
    client_secret_file=variable_of("kafka_sasl_oauth_client_secret_file"),
    scope=variable_of("kafka_sasl_oauth_scope"),
    ca_file=variable_of("kafka_sasl_oauth_ca_file"),
)


@lru_cache(maxsize=_SOURCES_KEPT)
def token_source(settings: Settings) -> TokenSource | None:
    """Where tokens come from, the same one for all clients of a process; None if the login is by password or none."""
    if not settings.kafka_security_protocol.startswith("SASL_"):
        return None
    match settings.kafka_sasl_mechanism:
        case "AWS_MSK_IAM":
            return TokenSource(
                partial(sign_token, settings.kafka_sasl_aws_region, variable_of("kafka_sasl_aws_region"))
            )
        case "OAUTHBEARER" if settings.kafka_sasl_oauth_token_file is not None:
            variable = variable_of("kafka_sasl_oauth_token_file")
            return TokenSource(partial(read_token_file, settings.kafka_sasl_oauth_token_file, variable))
        case "OAUTHBEARER":
            assert settings.kafka_sasl_oauth_client_secret_file is not None
            client = OauthClient(
                token_url=settings.kafka_sasl_oauth_token_url,
                client_id=settings.kafka_sasl_oauth_client_id,
                client_secret_file=settings.kafka_sasl_oauth_client_secret_file,
                scope=settings.kafka_sasl_oauth_scope,
                ca_file=settings.kafka_sasl_oauth_ca_file,
                variables=_VARIABLES,
            )
            return TokenSource(client.fetch)
        case _:
            return None


class ForLibrdkafka:
    """What librdkafka calls, in a thread of its own, when a token is due. It prints without secrets."""

    def __init__(self, source: TokenSource, extensions: Mapping[str, str]) -> None:
        self.source: Final = source
        self._extensions = dict(extensions)

    def __call__(self, _config: str) -> tuple[str, float, str, dict[str, str]]:
        """The token, its end, a name that brokers do not read, and what goes with it. Raises TokenError."""
        token = self.source.token()
        return token.value, token.expires_at, "", self._extensions


class NoTokenError(KafkaConnectionError):  # type: ignore[misc]  # aiokafka is untyped
    """There is no token, so no connection. aiokafka tries again."""


class ForAiokafka(AbstractTokenProvider):  # type: ignore[misc]  # as above
    """What aiokafka asks for a token at each login."""

    def __init__(self, source: TokenSource, extensions: Mapping[str, str]) -> None:
        self._source = source
        self._extensions = dict(extensions)

    async def token(self) -> str:
        """The token. Raises NoTokenError."""
        try:
            return (await asyncio.to_thread(self._source.token)).value
        except TokenError as error:
            raise NoTokenError(str(error)) from None

    def extensions(self) -> dict[str, str]:
        """What some brokers want beside the token, such as a logical cluster."""
        return self._extensions


def librdkafka_login(settings: Settings) -> dict[str, Any] | None:
    """Options of librdkafka for a login by token; None for one by password. Raises TokenError."""
    source = token_source(settings)
    if source is None:
        return None
    source.token()  # librdkafka would wait for it in silence, and then say little
    return {
        "sasl.mechanism": TOKEN_MECHANISM,
        "oauth_cb": ForLibrdkafka(source, dict(settings.kafka_sasl_oauth_extensions)),
    }


def aiokafka_login(settings: Settings) -> ForAiokafka | None:
    """What aiokafka needs for a login by token; None for one by password."""
    source = token_source(settings)
    return None if source is None else ForAiokafka(source, dict(settings.kafka_sasl_oauth_extensions))
