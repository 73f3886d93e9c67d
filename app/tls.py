"""Why a TLS link does not come about, in words that name the cause and the setting to change.

Clients say little more than "handshake failed" for a wrong CA, a missing certificate and a server that speaks no TLS
alike. Here the connection is tried once more with plain sockets, one step at a time: the handshake, and the server's
first word after it, for with TLS 1.3 a missing client certificate shows only there. Rules: nothing is sent but a
handshake; every step has a deadline; files are read anew. This module refuses to know what is spoken over the link.
"""

import contextlib
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STEP_S: Final = 3.0
ANSWER_S: Final = 1.0
"""For the server's first word, which an HTTP/2 server says at once, and which others say only to complain."""

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_HOSTNAME_MISMATCH: Final = 62
_IP_MISMATCH: Final = 64
_UNKNOWN_ISSUER: Final = frozenset({2, 18, 19, 20, 21})
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


class TlsFilesError(Exception):
    """The TLS files cannot be used; the message names the setting."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. Without `ca` the system's CAs count, without `cert` and `key` we show no certificate."""

    ca: Path | None
    cert: Path | None
    key: Path | None


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one kind of link, by what an operator calls them."""

    ca: str
    cert: str
    key: str
    name_remedy: str
    """What to do where the certificate is for another name."""
    use_tls: str
    """What to do where the server speaks TLS and we do not."""
    no_tls: str
    """What to do where we speak TLS and the server does not."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong. `misconfigured`: it will not get better by waiting."""

    text: str
    misconfigured: bool


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that may speak TLS. `where` is what it is called in a message; `name` is to be in its certificate."""

    where: str
    host: str
    port: int
    name: str
    settings: Settings

    def connect(self) -> socket.socket:
        """A plain connection. Raises OSError."""
        return socket.create_connection((self.host, self.port), timeout=STEP_S)


def tls_context(files: TlsFiles, settings: Settings, protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A client context with these files. Raises TlsFilesError naming the setting whose file does not serve."""
    try:
        context = ssl.create_default_context(cafile=files.ca)
    except OSError as error:
        raise TlsFilesError(_unusable(settings.ca, files.ca, error, "certificates")) from None
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if files.cert is not None and files.key is not None:
        try:
            context.load_cert_chain(files.cert, files.key, password=lambda: "")
        except OSError as error:
            if isinstance(error, ssl.SSLError) and "KEY_VALUES_MISMATCH" in str(error.reason):
                raise TlsFilesError(
                    f"{settings.key}: {files.key} is not the key of the certificate {files.cert}"
                ) from None
            raise TlsFilesError(_unusable(settings.cert, files.cert, error, "certificate with its key")) from None
    return context


def speaks_tls(peer: Peer) -> bool:
    """Whether the server answers a TLS handshake, whatever certificates say."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with peer.connect() as connection, context.wrap_socket(connection):
            return True
    except ssl.SSLError as error:
        return "alert" in str(error.reason).lower()  # it speaks TLS well enough to complain
    except OSError:
        return False


def use_tls(peer: Peer) -> Diagnosis:
    """The diagnosis for a server that speaks TLS while we do not."""
    return Diagnosis(f"{peer.where} speaks TLS and we do not: {peer.settings.use_tls}", True)


def handshake_trouble(peer: Peer, files: TlsFiles, protocols: tuple[str, ...] = ()) -> Diagnosis | None:
    """What goes wrong between a server that listens and us with these files; None where nothing does.

    Raises OSError where nothing listens.
    """
    handshaken = False
    with peer.connect() as connection:
        try:
            context = tls_context(files, peer.settings, protocols)
            with context.wrap_socket(connection, server_hostname=peer.name) as secured:
                handshaken = True
                secured.settimeout(ANSWER_S)
                with contextlib.suppress(TimeoutError):
                    if not secured.recv(1):
                        return _hung_up(peer, files)
                return None
        except TlsFilesError as error:
            return Diagnosis(str(error), True)
        except ssl.SSLCertVerificationError as error:
            return _untrusted(peer, files, error)
        except ssl.SSLError as error:
            return _refused_handshake(peer, files, str(error.reason or error))
        except ConnectionError:
            return _hung_up(peer, files) if handshaken else _no_tls(peer)
        except TimeoutError:
            return Diagnosis(
                f"{peer.where} does not answer a TLS handshake within {STEP_S:.0f} s; if it speaks no TLS: "
                f"{peer.settings.no_tls}",
                False,
            )


def tls_trouble(peer: Peer, files: TlsFiles | None) -> Diagnosis | None:
    """What is wrong with TLS between a server and a client that speaks first; `files` None means without TLS.

    None where nothing is wrong. That nothing listens is no trouble with TLS either, but will get better.
    """
    try:
        if files is not None:
            return handshake_trouble(peer, files)
        peer.connect().close()
        return use_tls(peer) if speaks_tls(peer) else None
    except OSError as error:
        return Diagnosis(f"{peer.where}: {error.strerror or type(error).__name__}", False)


def _hung_up(peer: Peer, files: TlsFiles) -> Diagnosis:
    """A server that hangs up after the handshake does not like our certificate, or that there is none."""
    where = f"{peer.where} hung up after the TLS handshake"
    if files.cert is None:
        return Diagnosis(f"{where}: it probably wants a client certificate: {_show_ours(peer)}", True)
    return Diagnosis(f"{where}: it probably does not accept our client certificate", False)


def _untrusted(peer: Peer, files: TlsFiles, error: ssl.SSLCertVerificationError) -> Diagnosis:
    match error.verify_code:
        case code if code in _UNKNOWN_ISSUER:
            source = peer.settings.ca if files.ca else "the system's CAs"
            return Diagnosis(f"{peer.where}: its certificate was not signed by a CA of {source}", True)
        case code if code == _EXPIRED:
            return Diagnosis(f"{peer.where}: its certificate, or one above it, has expired", True)
        case code if code == _NOT_YET_VALID:
            return Diagnosis(f"{peer.where}: its certificate is not valid yet; is this machine's clock right?", True)
        case code if code in {_HOSTNAME_MISMATCH, _IP_MISMATCH}:
            return Diagnosis(
                f"{peer.where}: its certificate is not for {peer.name!r}; {peer.settings.name_remedy}", True
            )
        case _:
            return Diagnosis(f"{peer.where}: its certificate is not accepted: {error.verify_message}", True)


def _refused_handshake(peer: Peer, files: TlsFiles, reason: str) -> Diagnosis:
    """The server's alert, or bytes that are no TLS."""
    text = reason.upper().replace(" ", "_")
    about = next((alert for alert in _ABOUT_OUR_CERTIFICATE if f"ALERT_{alert}" in text), None)
    if about is not None and files.cert is not None:
        kind = about.lower().replace("_", " ")
        return Diagnosis(f"{peer.where} does not accept our client certificate ({kind})", True)
    if about is not None:
        return Diagnosis(f"{peer.where} wants a client certificate: {_show_ours(peer)}", True)
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER" in text or "EOF" in text:
        return _no_tls(peer)
    return Diagnosis(f"{peer.where}: the TLS handshake failed: {reason}", True)


def _no_tls(peer: Peer) -> Diagnosis:
    return Diagnosis(f"{peer.where} speaks no TLS there: {peer.settings.no_tls}", True)


def _show_ours(peer: Peer) -> str:
    return f"set {peer.settings.cert} and {peer.settings.key}"


def _unusable(setting: str, path: Path | None, error: OSError, content: str) -> str:
    reason = f"holds no PEM {content}" if isinstance(error, ssl.SSLError) else os.strerror(error.errno or 0)
    return f"{setting}: {path}: {reason}"
