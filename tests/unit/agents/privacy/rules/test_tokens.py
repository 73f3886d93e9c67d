"""agents/privacy/rules/tokens.py through the engine: tokens of known form go, wherever they stand.

The tokens are put together here, so that none of them stands in the repository.
"""

import base64
import json

import pytest

from tests.support.privacy import cleared

_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_MIXED = "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zAbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
_HEX = "0123456789abcdef" * 8


def _jwt() -> str:
    def part(content: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': 'ann'})}.{_MIXED[:43]}"


TOKENS = {
    "AWS access key": "AKI" + "A" + _UPPER[:16],
    "AWS session key": "ASI" + "A" + _UPPER[:16],
    "Google API key": "AIz" + "a" + _MIXED[:35],
    "Google OAuth": "ya2" + "9." + _MIXED[:40],
    "GitHub": "gh" + "p_" + _MIXED[:36],
    "GitHub fine-grained": "github_" + "pat_" + _MIXED[:60],
    "GitLab": "glp" + "at-" + _MIXED[:20],
    "Slack bot": "xox" + "b-" + "123456789012-" + _MIXED[:24],
    "Slack app": "xap" + "p-1-" + _UPPER[:11] + "-" + _HEX[:40],
    "Stripe": "sk_" + "live_" + _MIXED[:24],
    "npm": "npm" + "_" + _MIXED[:36],
    "PyPI": "pyp" + "i-AgEIcHlwaS5vcmc" + _MIXED[:60],
    "OpenAI": "s" + "k-proj-" + _MIXED[:48],
    "Anthropic": "s" + "k-ant-api03-" + _MIXED[:60],
    "Hugging Face": "h" + "f_" + _MIXED[:34],
    "SendGrid": "S" + "G." + _MIXED[:22] + "." + _MIXED[:43],
    "Shopify": "shp" + "at_" + _HEX[:32],
    "Databricks": "dap" + "i" + _HEX[:32],
    "DigitalOcean": "dop" + "_v1_" + _HEX[:64],
    "HashiCorp Vault": "hv" + "s." + _MIXED[:30],
    "Grafana": "gl" + "sa_" + _MIXED[:32] + "_" + _HEX[:8],
    "Twilio": "S" + "K" + _HEX[:32],
    "Telegram": "123456789" + ":AA" + _MIXED[:33],
    "Tailscale": "tsk" + "ey-auth-" + _MIXED[:20],
    "age": "AGE-SECRET-" + "KEY-1" + _UPPER + _UPPER[:26],
    "JWT": _jwt(),
    "password hash": "$6" + "$" + "saltsalt" + "$" + _MIXED[:60],
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
@pytest.mark.parametrize(
    "form", ["app {}", "app --x={} y", 'sh -c "echo {}"', "https://h/p/{}/q", "x={};y", "[{}]", "'{}'"]
)
def test_token_goes_wherever_it_stands(token: str, form: str) -> None:
    """No name announces it; its own form does."""
    assert token not in cleared(form.format(token)).text


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_token_in_the_place_of_a_user_goes(token: str) -> None:
    """`https://TOKEN@host` is how many tools clone."""
    assert token not in cleared(f"git clone https://{token}@git.example.org/a/b.git").text


_KINDS = ["", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED "]


@pytest.mark.parametrize("kind", _KINDS)
def test_private_key_block_goes_up_to_its_end_line(kind: str) -> None:
    """On several lines or on one; what stands behind stays."""
    for line_break in ("\n", " ", "\\n"):
        block = line_break.join(
            [f"-----BEGIN {kind}PRIVATE KEY-----", _MIXED, _MIXED, f"-----END {kind}PRIVATE KEY-----"]
        )
        assert cleared(f'app "{block}" tail').text == 'app "[redacted]" tail'


@pytest.mark.parametrize("kind", _KINDS)
def test_private_key_block_goes_to_the_end_of_the_text_when_cut_off(kind: str) -> None:
    """Without an end line nothing behind it can be trusted."""
    assert cleared(f"app -----BEGIN {kind}PRIVATE KEY-----\n{_MIXED}\nmore").text == "app [redacted]"


@pytest.mark.parametrize(
    "text",
    [
        "sha256:" + _HEX[:64],
        _HEX[:40],
        "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
        "registry.example.org/team/app@sha256:" + _HEX[:64],
        "i-0abcd1234ef567890",
        "-----BEGIN CERTIFICATE-----",
        "sk-learn",
        "task-runner-with-a-long-name",
        "libglib-2.0.so.0",
        "AKIA",
        "the bearer of this letter",
    ],
)
def test_digest_id_and_name_stay(text: str) -> None:
    """A text that only looks random, or only begins like a token, is not a token."""
    assert cleared(f"app {text} x").text == f"app {text} x"
