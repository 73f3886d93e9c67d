"""The token for Amazon MSK: its signature is computed once more, by AWS' description of Signature Version 4."""

import base64
import hashlib
import hmac
import sys
import time
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from app.logins.aws_iam import sign_token
from app.logins.token import TokenError

REGION = "eu-central-1"
VARIABLE = "CALLSTREAM_KAFKA_SASL_AWS_REGION"
KEY_ID = "AKIDEXAMPLE"
KEY = "a-key-of-the-test"
SESSION = "session/of+the=test"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials but the test's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _signature(host: str, query: list[tuple[str, str]], key: str) -> str:
    """What AWS computes: the canonical request, the text to sign, and the key of day, region and service."""
    values = dict(query)
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
    request = "\n".join(
        [
            "GET",
            "/",
            "&".join(f"{name}={value}" for name, value in pairs),
            f"host:{host}",
            "",
            "host",
            hashlib.sha256(b"").hexdigest(),
        ]
    )
    _, day, region, service, end = values["X-Amz-Credential"].split("/")
    text = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            values["X-Amz-Date"],
            f"{day}/{region}/{service}/{end}",
            hashlib.sha256(request.encode()).hexdigest(),
        ]
    )
    signing = _hmac(_hmac(_hmac(_hmac(f"AWS4{key}".encode(), day), region), service), end)
    return _hmac(signing, text).hex()


@pytest.mark.parametrize("session", [None, SESSION])
def test_the_signature_is_the_one_that_aws_computes(monkeypatch: pytest.MonkeyPatch, session: str | None) -> None:
    """For the right action, service and region, with and without a session's token, for a quarter of an hour."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    if session is not None:
        monkeypatch.setenv("AWS_SESSION_TOKEN", session)

    token = sign_token(REGION, VARIABLE)

    url = urlsplit(base64.urlsafe_b64decode(token.value + "=" * (-len(token.value) % 4)).decode())
    query = parse_qsl(url.query)
    values = dict(query)
    assert (url.scheme, url.netloc, url.path) == ("https", f"kafka.{REGION}.amazonaws.com", "/")
    assert values["Action"] == "kafka-cluster:Connect"
    assert values["X-Amz-Credential"].split("/")[0::2] == [KEY_ID, REGION, "aws4_request"]
    assert values.get("X-Amz-Security-Token") == session
    # what is added behind the signature is not signed, and brokers leave it out
    signed = [(name, value) for name, value in query if name not in {"X-Amz-Signature", "User-Agent"}]
    assert values["X-Amz-Signature"] == _signature(url.netloc, signed, KEY)
    assert values["X-Amz-Signature"] != _signature(url.netloc, signed, KEY + "x")
    assert 890 < token.expires_at - time.time() <= 900


def test_without_credentials_the_way_out_is_told() -> None:
    """They may come: a role is given to a process while it starts."""
    with pytest.raises(TokenError, match=rf"^CALLSTREAM_KAFKA_SASL_MECHANISM .*{VARIABLE}={REGION} finds no") as caught:
        sign_token(REGION, VARIABLE)
    assert caught.value.passing


def test_without_the_signer_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra, because it brings AWS' whole library."""
    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer", None)
    with pytest.raises(TokenError, match=r"signer is not installed: pip install 'callstream\[aws\]'"):
        sign_token(REGION, VARIABLE)
