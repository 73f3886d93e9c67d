"""A token for Amazon MSK: a request that AWS' own package signs with the credentials that it finds."""

from typing import Final

from app.logins.token import Token, TokenError

_MECHANISM: Final = "CALLSTREAM_KAFKA_SASL_MECHANISM"


def sign_token(region: str, variable: str) -> Token:
    """A token for the clusters of a region; `variable` is the setting that names the region.

    Raises TokenError if the package is not installed, or finds no credentials.
    """
    try:
        from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # noqa: PLC0415 - an extra, which few need
    except ImportError:
        raise TokenError(
            f"{_MECHANISM} is AWS_MSK_IAM, whose signer is not installed: pip install 'callstream[aws]'"
        ) from None
    try:
        value, expires_ms = MSKAuthTokenProvider.generate_auth_token(region)
    except Exception as error:  # noqa: BLE001 - botocore's many, and AttributeError where it finds no credentials
        what = "finds no credentials" if isinstance(error, AttributeError) else f"fails with {type(error).__name__}"
        raise TokenError(
            f"{_MECHANISM} is AWS_MSK_IAM, and the signer for {variable}={region} {what}: give the process an IAM "
            "role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            passing=True,
        ) from None
    return Token(value, expires_ms / 1000)
