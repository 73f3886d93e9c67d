"""A token that another program writes into a file, and writes again before it ends."""

import time
from datetime import UTC, datetime
from pathlib import Path

from app.logins.token import Token, TokenError, end_of


def read_token_file(path: Path, variable: str) -> Token:
    """The token in a file, its first line. Raises TokenError for a file that cannot be used, or whose token has ended.

    `variable` is the setting that names the file.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise TokenError(f"{variable} names {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TokenError(f"{variable} names {path}, which holds no token") from None
    value = lines[0].strip() if lines else ""
    if not value:
        raise TokenError(f"{variable} names {path}, whose first line is empty")
    now = time.time()
    expires_at = end_of(value, now)
    if expires_at <= now:
        ended = datetime.fromtimestamp(expires_at, UTC).isoformat(timespec="seconds")
        raise TokenError(f"{variable} names {path}, whose token ended at {ended}: nobody has renewed it")
    return Token(value, expires_at)
