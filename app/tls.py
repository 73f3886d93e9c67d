"""Says why a TLS connection fails, with the cause and the setting to change.

Clients report little more than "handshake failed" for a wrong CA, for a missing certificate and for a server that does
not speak TLS. So this module tries the connection once more with plain sockets, one step at a time: first the
handshake, and then the server's first bytes after it, because with TLS 1.3 a missing client certificate shows only
there. It sends nothing but a handshake, each step has a deadline, and it reads the files again each time.
"""

import contextlib
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STEP_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 1.0
"""For the server's first bytes. An HTTP/2 server sends them at once; other servers send some only to complain."""

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_HOSTNAME_MISMATCH: Final = 62
_IP_MISMATCH: Final = 64
_UNKNOWN_ISSUER: Final = frozenset({2, 18, 19, 20, 21})
_SYSTEM_CAS: Final = "the system's CAs"
# Alerts with which servers ask for a client certificate, or refuse ours (RFC 8446, 6.2; Go and OpenSSL differ).
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
    """A TLS file cannot be used. The message names the setting that names the file."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. Without `ca` we trust the system's CAs. Without `cert` and `key` we show no certificate."""

    ca: Path | None
    cert: Path | None
    key: Path | None


@dataclass(frozen=True, slots=True)
class TlsVariables:
    """What an operator sets for one kind of connection: names of environment variables, and advice for messages."""

    ca: str
    cert: str
    key: str
    """Empty, as `cert`, where we never show a certificate."""
    name_remedy: str
    """What to do if the certificate is for another name."""
    use_tls: str
    """What to do if the server speaks TLS and we do not."""
    no_tls: str
    """What to do if we speak TLS and the server does not."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong, as a sentence. `misconfigured` means that waiting does not help."""

    text: str
    misconfigured: bool


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that may speak TLS. Messages call it `where`; its certificate must be for `name`."""

    where: str
    host: str
    port: int
    name: str
    variables: TlsVariables

    def connect(self) -> socket.socket:
        """A plain connection. Raises OSError."""
        return socket.create_connection((self.host, self.port), timeout=STEP_SECONDS)


def tls_context(files: TlsFiles, variables: TlsVariables, protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A client context with these files. Raises TlsFilesError."""
    try:
        context = ssl.create_default_context(cafile=files.ca)
    except OSError as error:
        raise TlsFilesError(_unusable(variables.ca, files.ca, error, "certificates")) from None
    if protocols:
        context.set_alpn_protocols(list(protocols))
    _load_own_certificate(context, files, variables)
    return context


def _load_own_certificate(context: ssl.SSLContext, files: TlsFiles, variables: TlsVariables) -> None:
    if files.cert is not None and files.key is not None:
        try:
            context.load_cert_chain(files.cert, files.key, password=lambda: "")
        except OSError as error:
            if isinstance(error, ssl.SSLError) and "KEY_VALUES_MISMATCH" in str(error.reason):
                raise TlsFilesError(
                    f"{variables.key}: {files.key} is not the key of the certificate {files.cert}"
                ) from None
            raise TlsFilesError(_unusable(variables.cert, files.cert, error, "certificate with its key")) from None


def server_context(files: TlsFiles, variables: TlsVariables) -> ssl.SSLContext:
    """A server's context with these files; with a CA, clients must show a certificate of it. Raises TlsFilesError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_own_certificate(context, files, variables)
    if files.ca is not None:
        try:
            context.load_verify_locations(cafile=files.ca)
        except OSError as error:
            raise TlsFilesError(_unusable(variables.ca, files.ca, error, "certificates")) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def speaks_tls(peer: Peer) -> bool:
    """Whether the server answers a TLS handshake, with any certificate."""
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
    """The diagnosis if the server speaks TLS and we do not."""
    return Diagnosis(f"{peer.where} speaks TLS and we do not: {peer.variables.use_tls}", True)


def handshake_trouble(peer: Peer, files: TlsFiles, protocols: tuple[str, ...] = ()) -> Diagnosis | None:
    """What goes wrong in a handshake with these files; None if nothing does. Raises OSError if nothing listens."""
    handshaken = False
    with peer.connect() as connection:
        try:
            context = tls_context(files, peer.variables, protocols)
            with context.wrap_socket(connection, server_hostname=peer.name) as secured:
                handshaken = True
                secured.settimeout(ANSWER_SECONDS)
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
                f"{peer.where} does not answer a TLS handshake within {STEP_SECONDS:.0f} s; if it does not speak TLS: "
                f"{peer.variables.no_tls}",
                False,
            )


def tls_trouble(peer: Peer, files: TlsFiles | None) -> Diagnosis | None:
    """What is wrong with TLS between us and a server where the client speaks first; None if nothing is.

    `files` is None if we do not use TLS. If nothing listens, the diagnosis says so, as something that may get better.
    """
    try:
        if files is not None:
            return handshake_trouble(peer, files)
        peer.connect().close()
        return use_tls(peer) if speaks_tls(peer) else None
    except OSError as error:
        return Diagnosis(f"{peer.where}: {error.strerror or type(error).__name__}", False)


def _hung_up(peer: Peer, files: TlsFiles) -> Diagnosis:
    """A server that hangs up after the handshake refuses our certificate, or misses one."""
    where = f"{peer.where} hung up after the TLS handshake"
    if files.cert is None:
        return Diagnosis(f"{where}: it probably wants a client certificate: {_show_ours(peer)}", True)
    return Diagnosis(f"{where}: it probably does not accept our client certificate", False)


def _untrusted(peer: Peer, files: TlsFiles, error: ssl.SSLCertVerificationError) -> Diagnosis:
    match error.verify_code:
        case code if code in _UNKNOWN_ISSUER:
            fault = f" was not signed by a CA of {peer.variables.ca if files.ca else _SYSTEM_CAS}"
        case code if code == _EXPIRED:
            fault = ", or one above it, has expired"
        case code if code == _NOT_YET_VALID:
            fault = " is not valid yet; is this machine's clock right?"
        case code if code in {_HOSTNAME_MISMATCH, _IP_MISMATCH}:
            fault = f" is not for {peer.name!r}; {peer.variables.name_remedy}"
        case _:
            fault = f" is not accepted: {error.verify_message}"
    return Diagnosis(f"{peer.where}: its certificate{fault}", True)


def _refused_handshake(peer: Peer, files: TlsFiles, reason: str) -> Diagnosis:
    """The diagnosis of a server's alert, or of bytes that are not TLS."""
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
    return Diagnosis(f"{peer.where} does not speak TLS there: {peer.variables.no_tls}", True)


def _show_ours(peer: Peer) -> str:
    if not peer.variables.cert:
        return "we have none for it"
    return f"set {peer.variables.cert} and {peer.variables.key}"


def _unusable(setting: str, path: Path | None, error: OSError, content: str) -> str:
    reason = f"holds no PEM {content}" if isinstance(error, ssl.SSLError) else os.strerror(error.errno or 0)
    return f"{setting}: {path}: {reason}"
