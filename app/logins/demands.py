"""What each kind of login needs of the settings, and which settings it does not use.

Settings are named by their fields. Each error begins with the variable.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from app.serving.address import is_loopback

_BY_PASSWORD: Final = ("kafka_sasl_username", "kafka_sasl_password_file")
_BY_FILE: Final = ("kafka_sasl_oauth_token_file",)
_BY_PROVIDER: Final = (
    "kafka_sasl_oauth_token_url",
    "kafka_sasl_oauth_client_id",
    "kafka_sasl_oauth_client_secret_file",
)
_BY_AWS: Final = ("kafka_sasl_aws_region",)
_OF_KAFKA: Final = (*_BY_PASSWORD, *_BY_FILE, *_BY_PROVIDER, *_BY_AWS)

_REGISTRY_PROVIDER: Final = (
    "schema_registry_oauth_token_url",
    "schema_registry_oauth_client_id",
    "schema_registry_oauth_client_secret_file",
)


def kafka_errors(given: Mapping[str, Any], variable: Callable[[str], str]) -> list[str]:
    """What a login at Kafka lacks, and what is set for another kind of login."""
    if not given["kafka_security_protocol"].startswith("SASL_"):
        idle = [name for name in _OF_KAFKA if given[name]]
        return [f"{variable(name)} is set, but {variable('kafka_security_protocol')} is not SASL_*" for name in idle]
    mechanism = given["kafka_sasl_mechanism"]
    needed: Sequence[str] = _BY_PASSWORD
    if mechanism == "AWS_MSK_IAM":
        needed = _BY_AWS
    elif mechanism == "OAUTHBEARER":
        if not any(given[name] for name in (*_BY_FILE, *_BY_PROVIDER)):
            file, url = variable(_BY_FILE[0]), variable(_BY_PROVIDER[0])
            return [f"{file} is not set, and neither is {url}: OAUTHBEARER needs one of them"]
        needed = _BY_FILE if given[_BY_FILE[0]] else _BY_PROVIDER
    errors = [
        f"{variable(name)} is not set, but the security protocol asks for SASL, here with {mechanism}"
        for name in needed
        if not given[name]
    ]
    errors += [
        f"{variable(name)} is set, but a login with {mechanism} does not use it beside {variable(needed[0])}"
        for name in _OF_KAFKA
        if given[name] and name not in needed
    ]
    return errors + _open_secret(_BY_PROVIDER[0], given, variable)


def registry_errors(given: Mapping[str, Any], variable: Callable[[str], str]) -> list[str]:
    """What a login at the schema registry lacks, and where there are two kinds of it."""
    errors = []
    if given["schema_registry_username"] and given["schema_registry_password_file"] is None:
        errors.append(f"{variable('schema_registry_password_file')} is not set, but a user name is")
    by_provider = [name for name in _REGISTRY_PROVIDER if given[name]]
    if by_provider:
        missing = [name for name in _REGISTRY_PROVIDER if not given[name]]
        errors += [f"{variable(name)} is not set, but {variable(by_provider[0])} is" for name in missing]
    kinds = [
        name for name in ("schema_registry_username", "schema_registry_token_file", *by_provider[:1]) if given[name]
    ]
    if len(kinds) > 1:
        errors.append(f"{variable(kinds[1])} is set, and so is {variable(kinds[0])}: a request has one login")
    return errors + _open_secret(_REGISTRY_PROVIDER[0], given, variable)


def _open_secret(name: str, given: Mapping[str, Any], variable: Callable[[str], str]) -> list[str]:
    """Whether the secret that goes to this address could be read on its way."""
    parts = urlsplit(given[name])
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return [f"{variable(name)} begins with http://, and our secret would travel unencrypted: write https://"]
    return []
