"""One token for all, renewed in time."""

from collections.abc import Callable

import pytest

from app.logins.source import PAUSE_SECONDS, TokenSource
from app.logins.token import Token, TokenError


class _Provider:
    """Gives tokens of 100 s, or an error; `now` is the time."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.asked = 0
        self.error: TokenError | None = None

    def source(self) -> TokenSource:
        return TokenSource(self.fetch, lambda: self.now)

    def fetch(self) -> Token:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Token(f"token {self.asked}", self.now + 100)


def test_a_token_serves_all_until_most_of_its_life_is_over() -> None:
    """Then the next one is fetched, before librdkafka asks for it at four fifths."""
    provider = _Provider()
    source = provider.source()
    assert {source.token().value for _ in range(5)} == {"token 1"}
    provider.now += 69
    assert source.token().value == "token 1"
    provider.now += 2
    assert source.token().value == "token 2"
    assert provider.asked == 2


def test_without_a_new_token_the_old_one_serves_to_its_end() -> None:
    """The provider is asked again at intervals, not by every client; then its error is everybody's."""
    provider = _Provider()
    source = provider.source()
    source.token()
    provider.error = TokenError("away", passing=True)
    provider.now += 71
    assert [source.token().value for _ in range(5)] == ["token 1"] * 5
    assert provider.asked == 2
    assert source.trouble is provider.error
    provider.now += 30
    for _ in range(3):
        with pytest.raises(TokenError, match="away"):
            source.token()
    assert provider.asked == 3
    provider.error = None
    provider.now += PAUSE_SECONDS
    assert source.token().value == "token 4"
    assert source.trouble is None


@pytest.mark.parametrize("show", [repr, str, "{}".format])
def test_a_token_prints_without_its_value(show: Callable[[Token], str]) -> None:
    """So no log line has it."""
    assert "secret" not in show(Token("secret", 1.0))
