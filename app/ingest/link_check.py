"""Why the link to Tetragon does not come about, in words that name the cause and the setting to change.

gRPC says UNAVAILABLE for a closed port, a wrong CA and a server that speaks no TLS alike. Here the connection is tried
once more with plain sockets, one step at a time: connect, TLS handshake, and the server's first word after it (with TLS
1.3 a missing client certificate shows only there). Rules: nothing is sent but a handshake and HTTP/2's preface; every
step has a deadline. This module refuses to know what happens next.
"""

import contextlib
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from app.ingest.link import Link, LinkError, tls_context

_STEP_S: Final = 3.0
_ANSWER_S: Final = 1.0
"""For the server's first word, which an HTTP/2 server says at once."""

_HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_TLS_ALERT: Final = 0x15

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_HOSTNAME_MISMATCH: Final = 62
_IP_MISMATCH: Final = 64
# Alerts by which servers ask for a client certificate or turn ours down (RFC 8446, 6.2; Go and OpenSSL differ).
_ABOUT_OUR_CERTIFICATE: Final = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "HANDSHAKE_FAILURE",
    "UNKNOWN_CA",
    "CERTIFICATE_UNKNOWN",
    "CERTIFICATE_EXPIRED",
    "UNSUPPORTED_CERTIFICATE",
    "ACCESS_DENIED",
)
_UNKNOWN_ISSUER: Final = frozenset({2, 18, 19, 20, 21})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong. `misconfigured`: it will not get better by waiting."""

    text: str
    misconfigured: bool


def diagnose(link: Link) -> Diagnosis | None:
    """Try the link step by step; None where nothing is wrong with it (any more)."""
    try:
        connection = _connect(link)
    except OSError as error:
        return _unreachable(link, error)
    with connection:
        return _plaintext_trouble(link, connection) if link.tls is None else _tls_trouble(link, connection)


def _connect(link: Link) -> socket.socket:
    if not link.is_unix:
        return socket.create_connection(link.host_and_port, timeout=_STEP_S)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_STEP_S)
    try:
        connection.connect(link.socket_path)
    except OSError:
        connection.close()
        raise
    return connection


def _unreachable(link: Link, error: OSError) -> Diagnosis:
    where = f"Tetragon at {link.address}"
    match error:
        case FileNotFoundError():
            return Diagnosis(f"{where}: there is no such socket; is the agent running, and its folder mounted?", False)
        case PermissionError():
            return Diagnosis(f"{where}: no permission to use this socket (Tetragon makes it for its own group)", False)
        case ConnectionRefusedError():
            return Diagnosis(f"{where}: nothing listens there (connection refused)", False)
        case TimeoutError():
            return Diagnosis(f"{where}: no answer within {_STEP_S:.0f} s", False)
        case socket.gaierror():
            return Diagnosis(f"{where}: the name cannot be resolved: {error.strerror}", False)
        case _:
            return Diagnosis(f"{where}: {error.strerror or type(error).__name__}", False)


def _plaintext_trouble(link: Link, connection: socket.socket) -> Diagnosis | None:
    """Whether a server that we talk to in plaintext wants TLS: it answers HTTP/2 with an alert, or hangs up."""
    connection.settimeout(_ANSWER_S)
    answer: bytes | None = b""
    try:
        connection.sendall(_HTTP2_PREFACE)
        answer = connection.recv(9)
    except TimeoutError:
        answer = None
    except OSError:
        answer = b""
    if answer is None or (answer and answer[0] != _TLS_ALERT):
        return None
    if not link.is_unix and _speaks_tls(link):
        return Diagnosis(
            f"Tetragon at {link.address} speaks TLS and we do not: set CALLSTREAM_TETRAGON_TLS_CA_FILE", True
        )
    return Diagnosis(f"Tetragon at {link.address}: what listens there is no gRPC server: it hung up", False)


def _speaks_tls(link: Link) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with _connect(link) as connection, context.wrap_socket(connection):
            return True
    except ssl.SSLError as error:
        return "alert" in str(error.reason).lower()  # it speaks TLS well enough to complain
    except OSError:
        return False


def _tls_trouble(link: Link, connection: socket.socket) -> Diagnosis | None:
    assert link.tls is not None
    name = link.server_name or link.host_and_port[0]
    handshaken = False
    try:
        context = tls_context(link.tls)
        with context.wrap_socket(connection, server_hostname=name) as secured:
            handshaken = True
            secured.settimeout(_ANSWER_S)
            with contextlib.suppress(TimeoutError):
                if not secured.recv(1):
                    return _hung_up(link)
            return None
    except LinkError as error:
        return Diagnosis(str(error), True)
    except ssl.SSLCertVerificationError as error:
        return _untrusted(link, name, error)
    except ssl.SSLError as error:
        return _refused_handshake(link, str(error.reason or error))
    except ConnectionError:
        return _hung_up(link) if handshaken else _no_tls(link)
    except TimeoutError:
        return _no_tls(link)


def _hung_up(link: Link) -> Diagnosis:
    """A server that hangs up after the handshake does not like our certificate, or that there is none."""
    assert link.tls is not None
    where = f"Tetragon at {link.address} hung up after the TLS handshake"
    if link.tls.cert is None:
        return Diagnosis(
            f"{where}: it probably wants a client certificate: set CALLSTREAM_TETRAGON_TLS_CERT_FILE and "
            "CALLSTREAM_TETRAGON_TLS_KEY_FILE",
            True,
        )
    return Diagnosis(f"{where}: it probably does not accept our client certificate", False)


def _untrusted(link: Link, name: str, error: ssl.SSLCertVerificationError) -> Diagnosis:
    where = f"Tetragon at {link.address}"
    match error.verify_code:
        case code if code in _UNKNOWN_ISSUER:
            source = "CALLSTREAM_TETRAGON_TLS_CA_FILE" if link.tls and link.tls.ca else "the system's CAs"
            return Diagnosis(f"{where}: its certificate was not signed by a CA of {source}", True)
        case code if code == _EXPIRED:
            return Diagnosis(f"{where}: its certificate, or one above it, has expired", True)
        case code if code == _NOT_YET_VALID:
            return Diagnosis(f"{where}: its certificate is not valid yet; is this machine's clock right?", True)
        case code if code in {_HOSTNAME_MISMATCH, _IP_MISMATCH}:
            return Diagnosis(
                f"{where}: its certificate is not for {name!r}; name the one that it is for in "
                "CALLSTREAM_TETRAGON_TLS_SERVER_NAME",
                True,
            )
        case _:
            return Diagnosis(f"{where}: its certificate is not accepted: {error.verify_message}", True)


def _refused_handshake(link: Link, reason: str) -> Diagnosis:
    """The server's alert, or bytes that are no TLS."""
    where, text = f"Tetragon at {link.address}", reason.upper().replace(" ", "_")
    about = next((alert for alert in _ABOUT_OUR_CERTIFICATE if f"ALERT_{alert}" in text), None)
    if about is not None and link.tls is not None and link.tls.cert is not None:
        kind = about.lower().replace("_", " ")
        return Diagnosis(f"{where} does not accept our client certificate ({kind})", True)
    if about is not None:
        return Diagnosis(
            f"{where} wants a client certificate: set CALLSTREAM_TETRAGON_TLS_CERT_FILE and "
            "CALLSTREAM_TETRAGON_TLS_KEY_FILE",
            True,
        )
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER" in text or "EOF" in text:
        return _no_tls(link)
    return Diagnosis(f"{where}: the TLS handshake failed: {reason}", True)


def _no_tls(link: Link) -> Diagnosis:
    return Diagnosis(
        f"Tetragon at {link.address} speaks no TLS there: unset CALLSTREAM_TETRAGON_TLS_*, or use its TLS port", True
    )
