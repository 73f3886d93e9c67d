"""Numbers and keys that prove themselves: their check digits are right, which chance makes right once in many times."""

import hashlib
import re
from typing import Final

_CARD: Final = re.compile(
    r"(?<![\w.\-+/=])(?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|3[47]\d{2}|6011|65\d{2}|35\d{2}|3[068]\d{2})(?:[ \-]?\d){9,12}"
    r"(?![\w\-+/=]|\.\d)"
)
_ACCOUNT: Final = re.compile(r"(?<![\w.\-+/])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![\w\-+/=])")
_PERSON: Final = re.compile(r"(?<![\w.\-+/=])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w.\-+/=])")
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_WALLET: Final = re.compile(
    rf"(?<!\w)(?:[5KL9c][{_BASE58}]{{50,51}}|[xyzt]prv[{_BASE58}]{{107}}|6P[{_BASE58}]{{56}})(?!\w)"
)
_ACCOUNT_LENGTHS: Final = range(15, 35)
_CARD_LENGTHS: Final = range(14, 17)
_CHECKSUM_BYTES: Final = 4


def has_card(text: str) -> bool:
    """Whether a text holds the number of a payment card."""
    return any(_is_card(re.sub(r"[ \-]", "", found[0])) for found in _CARD.finditer(text))


def has_account(text: str) -> bool:
    """Whether a text holds an international bank account number."""
    return any(_is_account(found[0].replace(" ", "")) for found in _ACCOUNT.finditer(text))


def has_person_number(text: str) -> bool:
    """Whether a text holds a social security number of the United States, by its groups; it has no check digit."""
    return _PERSON.search(text) is not None


def has_wallet_key(text: str) -> bool:
    """Whether a text holds a private key of a wallet (WIF, extended or encrypted), by its checksum."""
    return any(_is_checked_base58(found[0]) for found in _WALLET.finditer(text))


def _is_card(digits: str) -> bool:
    if len(digits) not in _CARD_LENGTHS or len(set(digits)) < 2:
        return False
    doubled = [int(digit) * (1 + number % 2) for number, digit in enumerate(reversed(digits))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _is_account(account: str) -> bool:
    if len(account) not in _ACCOUNT_LENGTHS:
        return False
    return int("".join(str(int(letter, 36)) for letter in account[4:] + account[:4])) % 97 == 1


def _is_checked_base58(text: str) -> bool:
    number = 0
    for letter in text:
        number = number * len(_BASE58) + _BASE58.index(letter)
    content = number.to_bytes((number.bit_length() + 7) // 8, "big")
    content = b"\0" * (len(text) - len(text.lstrip("1"))) + content
    body, check = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
    return hashlib.sha256(hashlib.sha256(body).digest()).digest()[:_CHECKSUM_BYTES] == check
