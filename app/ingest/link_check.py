"""Why no connection to Tetragon comes about, in words that name the cause and the setting to change.

gRPC says UNAVAILABLE for a closed port, a wrong CA and a server without TLS alike. So this module tries the
connection once more with plain sockets. It sends only a handshake and HTTP/2's preface, and every step has a
deadline.
"""

import socket
from typing import Final

from app.ingest.link import HTTP2, TLS_SETTINGS, AgentLink
from app.tls import ANSWER_SECONDS, STEP_SECONDS, Diagnosis, Peer, handshake_trouble, speaks_tls, use_tls

_HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_TLS_ALERT: Final = 0x15


def diagnose(link: AgentLink) -> Diagnosis | None:
    """Try the link step by step; None when nothing is wrong with it (any more)."""
    try:
        if link.tls is not None:
            return handshake_trouble(_peer(link), link.tls, HTTP2)
        with _connect(link) as connection:
            return _plaintext_trouble(link, connection)
    except OSError as error:
        return _unreachable(link, error)


def _peer(link: AgentLink) -> Peer:
    host, port = link.host_and_port
    return Peer(f"Tetragon at {link.address}", host, port, link.server_name or host, TLS_SETTINGS)


def _connect(link: AgentLink) -> socket.socket:
    if not link.is_unix:
        return socket.create_connection(link.host_and_port, timeout=STEP_SECONDS)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(STEP_SECONDS)
    try:
        connection.connect(link.socket_path)
    except OSError:
        connection.close()
        raise
    return connection


def _unreachable(link: AgentLink, error: OSError) -> Diagnosis:
    where = f"Tetragon at {link.address}"
    match error:
        case FileNotFoundError():
            return Diagnosis(f"{where}: there is no such socket; is the agent running, and its folder mounted?", False)
        case PermissionError():
            return Diagnosis(f"{where}: no permission to use this socket (Tetragon makes it for its own group)", False)
        case ConnectionRefusedError():
            return Diagnosis(f"{where}: nothing listens there (connection refused)", False)
        case TimeoutError():
            return Diagnosis(f"{where}: no answer within {STEP_SECONDS:.0f} s", False)
        case socket.gaierror():
            return Diagnosis(f"{where}: the name cannot be resolved: {error.strerror}", False)
        case _:
            return Diagnosis(f"{where}: {error.strerror or type(error).__name__}", False)


def _plaintext_trouble(link: AgentLink, connection: socket.socket) -> Diagnosis | None:
    """Whether a server that we talk to in plaintext wants TLS: it answers HTTP/2 with an alert, or hangs up."""
    connection.settimeout(ANSWER_SECONDS)
    try:
        connection.sendall(_HTTP2_PREFACE)
        answer = connection.recv(9)
    except TimeoutError:
        return None
    except OSError:
        answer = b""
    if answer and answer[0] != _TLS_ALERT:
        return None
    if not link.is_unix and speaks_tls(_peer(link)):
        return use_tls(_peer(link))
    return Diagnosis(f"Tetragon at {link.address}: what listens there is not a gRPC server: it hung up", False)
