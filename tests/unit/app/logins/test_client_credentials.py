"""The client credentials grant, against a provider that answers as it is told."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.logins.client_credentials import OauthClient, OauthVariables
from app.logins.token import TokenError
from tests.support.certificates import Authority
from tests.support.identity_provider import CLIENT, SCOPE, SECRET, IdentityProvider, identity_provider


@pytest.fixture(scope="module", name="provider")
def _provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    with identity_provider(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture(name="client")
def _client(provider: IdentityProvider, tmp_path: Path) -> OauthClient:
    provider.answer = None
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    variables = OauthVariables("X_URL", "X_ID", "X_SECRET_FILE", "X_SCOPE", "X_CA_FILE")
    return OauthClient(provider.url, CLIENT, secret, SCOPE, provider.authority.file, variables)


def test_a_client_that_is_known_gets_a_token(client: OauthClient, provider: IdentityProvider) -> None:
    """The secret travels encoded in the header, and never in the form."""
    assert client.fetch().value.count(".") == 2
    assert provider.seen[-1] == {"grant_type": ["client_credentials"], "scope": [SCOPE]}


@pytest.mark.parametrize(
    ("answer", "told", "passing"),
    [
        ((401, {}), "X_ID, X_SECRET_FILE: ", False),
        ((400, {"error": "invalid_client"}), "X_ID, X_SECRET_FILE: ", False),
        ((400, {"error": "unauthorized_client"}), "X_ID: .*may not use", False),
        ((400, {"error": "invalid_scope"}), f"X_SCOPE: .*'{SCOPE}'", False),
        ((503, {}), "X_URL: .*answers 503$", True),
        ((429, {}), "X_URL: .*answers 429$", True),
        ((404, {}), "X_URL: .*is it the token endpoint", False),
        ((302, {}), "X_URL: .*is it the token endpoint", False),
        ((200, {"access_token": 5}), "X_URL: .*answers 200, and no token", False),
        ((200, {"access_token": "a\r\nb"}), "X_URL: .*answers 200, and no token", False),
        ((400, {"error": f"no {SECRET}"}), "X_URL: .*answers 400, and no token", False),
    ],
)
def test_a_refusal_names_the_setting(
    client: OauthClient, provider: IdentityProvider, answer: tuple[int, Mapping[str, Any]], told: str, passing: bool
) -> None:
    """And never has the secret, whatever the server says."""
    provider.answer = answer
    with pytest.raises(TokenError, match=rf"^{told}") as caught:
        client.fetch()
    assert caught.value.passing is passing
    assert SECRET not in str(caught.value)


def test_a_strange_authority_is_told(client: OauthClient, tmp_path: Path) -> None:
    """With the setting for the right one."""
    stranger = replace(client, ca_file=Authority.create(tmp_path, "stranger").file)
    with pytest.raises(TokenError, match=r"^X_URL: .*not signed by a CA of X_CA_FILE") as caught:
        stranger.fetch()
    assert not caught.value.passing


@pytest.mark.parametrize("secret", [None, "", "\nsecond line"])
def test_a_secret_that_cannot_be_read_is_told(client: OauthClient, tmp_path: Path, secret: str | None) -> None:
    """Before anything is sent."""
    file = tmp_path / "other"
    if secret is not None:
        file.write_text(secret)
    with pytest.raises(TokenError, match=rf"^X_SECRET_FILE names {file}"):
        replace(client, client_secret_file=file).fetch()


def test_a_server_that_is_away_is_waited_for(client: OauthClient) -> None:
    """Nothing is wrong with the settings."""
    with pytest.raises(TokenError, match=r"^X_URL: no token from https://127.0.0.1:1/token: ") as caught:
        replace(client, token_url="https://127.0.0.1:1/token").fetch()
    assert caught.value.passing
