"""A token from an identity provider: the client credentials grant of OAuth 2.0 (RFC 6749, 4.4)."""

import json
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from app.logins.answers import ANSWER_SECONDS, cause_of, content_of
from app.logins.token import Token, TokenError, end_of
from app.tls import Peer, TlsFiles, TlsVariables, tls_trouble

_TIMEOUT: Final = urllib3.Timeout(connect=3, read=10)
_MAX_ANSWER_BYTES: Final = 1 << 20
"""A token has some kilobytes; brokers take none of a megabyte."""


@dataclass(frozen=True, slots=True)
class OauthVariables:
    """The settings of one service's logins; messages name them."""

    token_url: str
    client_id: str
    client_secret_file: str
    scope: str
    ca_file: str


@dataclass(frozen=True, slots=True)
class OauthClient:
    """What an identity provider must know of us. The secret is read from its file for each token."""

    token_url: str
    client_id: str
    client_secret_file: Path
    scope: str
    ca_file: Path | None
    variables: OauthVariables

    def fetch(self) -> Token:
        """A new token. Raises TokenError."""
        status, answer = self._exchange()
        value = answer.get("access_token")
        if status == HTTPStatus.OK and isinstance(value, str) and value.isascii() and value.isprintable():
            return Token(value, _end_of(value, answer.get("expires_in")))
        raise self._refusal(status, answer)

    def _exchange(self) -> tuple[int, dict[str, Any]]:
        form = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        # RFC 6749, 2.3.1: both parts are encoded as in a form before they become a user and a password
        login = f"{quote_plus(self.client_id)}:{quote_plus(self._secret())}"
        headers = urllib3.make_headers(basic_auth=login) | {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        try:
            with urllib3.PoolManager(
                ca_certs=str(self.ca_file) if self.ca_file else None, timeout=_TIMEOUT, retries=False
            ) as http:
                reply = http.request(
                    "POST",
                    self.token_url,
                    body=urlencode(form),
                    headers=headers,
                    redirect=False,
                    preload_content=False,
                )
                content = content_of(reply, _MAX_ANSWER_BYTES)
        except (HTTPError, OSError) as error:
            raise self._away(cause_of(error) if isinstance(error, HTTPError) else str(error.strerror)) from None
        if content is None:
            raise self._away(f"it did not send its answer within {ANSWER_SECONDS:.0f} s")
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        return reply.status, answer if isinstance(answer, dict) else {}

    def _secret(self) -> str:
        variable, path = self.variables.client_secret_file, self.client_secret_file
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "is not text"
            raise TokenError(f"{variable} names {path}: {why}") from None
        if not lines or not lines[0]:
            raise TokenError(f"{variable} names {path}, whose first line is empty")
        return lines[0]

    def _away(self, why: str) -> TokenError:
        parts = urlsplit(self.token_url)
        host, uses_tls = parts.hostname or "", parts.scheme == "https"
        variables = TlsVariables(
            ca=self.variables.ca_file,
            cert="",
            key="",
            name_remedy=f"write the name that it is for into {self.variables.token_url}",
            use_tls=f"write https:// in {self.variables.token_url}",
            no_tls=f"correct {self.variables.token_url}",
        )
        peer = Peer(f"the server {host}", host, parts.port or (443 if uses_tls else 80), host, variables)
        found = tls_trouble(peer, TlsFiles(self.ca_file, None, None) if uses_tls else None)
        misconfigured = found is not None and found.misconfigured
        reason = found.text if found is not None and misconfigured else why
        return TokenError(
            f"{self.variables.token_url}: no token from {self.token_url}: {reason}", passing=not misconfigured
        )

    def _refusal(self, status: int, answer: dict[str, Any]) -> TokenError:
        said = answer.get("error")
        code = said if isinstance(said, str) and said.isidentifier() and len(said) < 60 else ""
        where = f"{self.token_url} answers {status}{f' ({code})' if code else ''}"
        names = self.variables
        match status, code:
            case _, "invalid_scope":
                return TokenError(f"{names.scope}: {where}: it does not give us the scope {self.scope!r}")
            case _, "unauthorized_client" | "unsupported_grant_type":
                return TokenError(f"{names.client_id}: {where}: this client may not use the client credentials grant")
            case (401 | 403, _) | (_, "invalid_client"):
                return TokenError(f"{names.client_id}, {names.client_secret_file}: {where}: it does not know us")
            case status, _ if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return TokenError(f"{names.token_url}: {where}", passing=True)
            case _:
                return TokenError(f"{names.token_url}: {where}, and no token: is it the token endpoint?")


def _end_of(value: str, expires_in: object) -> float:
    now = time.time()
    try:
        return now + float(str(expires_in))
    except ValueError:
        return end_of(value, now)
