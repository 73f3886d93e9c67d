"""How long a row is kept after its symbol was last hit."""

from typing import Final

from app.settings import Settings
from schemas.units import NS_PER_SECOND

DAY_NS: Final = 86_400 * NS_PER_SECOND


def row_age_ns(settings: Settings) -> int | None:
    """The age at which a row that nobody watches expires, in nanoseconds; None for never."""
    return settings.hot_symbol_expiry_days * DAY_NS or None
