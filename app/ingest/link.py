"""The way to Tetragon: its address, TLS files and channel options.

Rules: files are read anew for every connection, so renewed certificates are used without a restart; the TLS files are
checked before gRPC sees them, because gRPC says no more than "handshake failed". A unix socket has no TLS. This module
refuses to know what is asked over the link.
"""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.experimental

from app.settings import Settings, SettingsError, variable_of
from schemas.topics import MAX_EVENT_BYTES

_KEEPALIVE_ANSWER_MS: Final = 20_000
_LOOKAHEAD_BYTES: Final = 4 << 20
"""HTTP/2 window of the stream: some 2,000 events on their way while we look away, and fewer window updates; measured,
half a microsecond an event less than with gRPC's own estimate."""
_MAX_FRAME_BYTES: Final = 1 << 20
"""Largest DATA frame that we take; a server that packs its messages may use it."""


class LinkError(Exception):
    """The TLS files cannot be used; the message names the setting."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. Without `ca` the system's CAs count, without `cert` and `key` we show no certificate."""

    ca: Path | None
    cert: Path | None
    key: Path | None


@dataclass(frozen=True, slots=True)
class Link:
    """How to connect. `server_name` overrides the name to expect in the server's certificate."""

    address: str
    tls: TlsFiles | None
    server_name: str
    keepalive_s: int

    @property
    def is_unix(self) -> bool:
        """Whether the address is a unix socket."""
        return self.address.startswith("unix:")

    @property
    def socket_path(self) -> str:
        """File of the unix socket."""
        return self.address.removeprefix("unix:").removeprefix("//")

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where to connect, for an address that is no unix socket."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


def link_of(settings: Settings) -> Link:
    """The link that the settings describe. Raises SettingsError where TLS is asked for on a unix socket."""
    wanted = ("tetragon_tls_ca_file", "tetragon_tls_cert_file", "tetragon_tls_key_file", "tetragon_tls_server_name")
    asked = [name for name in wanted if getattr(settings, name)]
    if asked and settings.tetragon_address.startswith("unix:"):
        raise SettingsError(
            [f"{variable_of(name)} is set, but CALLSTREAM_TETRAGON_ADDRESS is a unix socket" for name in asked]
        )
    files = TlsFiles(settings.tetragon_tls_ca_file, settings.tetragon_tls_cert_file, settings.tetragon_tls_key_file)
    return Link(
        settings.tetragon_address,
        files if asked else None,
        settings.tetragon_tls_server_name,
        settings.tetragon_keepalive_seconds,
    )


def open_channel(link: Link) -> Any:
    """A new gRPC channel, which connects when it is first used. Raises LinkError."""
    options: list[tuple[str, int | str]] = [
        (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),  # 7 µs an event instead of 41
        ("grpc.max_receive_message_length", MAX_EVENT_BYTES),
        ("grpc.keepalive_time_ms", link.keepalive_s * 1000),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_ANSWER_MS),
        ("grpc.http2.max_pings_without_data", 0),  # a node may be quiet for longer than two pings
        ("grpc.http2.bdp_probe", 0),  # its pings count against the server's patience
        ("grpc.http2.lookahead_bytes", _LOOKAHEAD_BYTES),
        ("grpc.http2.max_frame_size", _MAX_FRAME_BYTES),
        ("grpc.use_local_subchannel_pool", 1),  # a new channel shall not inherit an old one's waiting time
        ("grpc.enable_http_proxy", 0),  # the agent is on this node
        ("grpc.enable_retries", 0),  # reconnecting is our business: it makes a gap
    ]
    if link.tls is None:
        return grpc.insecure_channel(link.address, options=options)
    if link.server_name:
        options.append(("grpc.ssl_target_name_override", link.server_name))
        options.append(("grpc.default_authority", link.server_name))
    return grpc.secure_channel(link.address, _credentials(link.tls), options=options)


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """A client context with these files. Raises LinkError naming the setting whose file does not serve."""
    try:
        context = ssl.create_default_context(cafile=files.ca)
    except (OSError, ssl.SSLError) as error:
        raise LinkError(_unusable("tetragon_tls_ca_file", files.ca, error, "certificates")) from None
    context.set_alpn_protocols(["h2"])
    if files.cert is not None and files.key is not None:
        try:
            context.load_cert_chain(files.cert, files.key, password=lambda: "")
        except ssl.SSLError as error:
            if "KEY_VALUES_MISMATCH" in str(error.reason):
                raise LinkError(
                    f"CALLSTREAM_TETRAGON_TLS_KEY_FILE: {files.key} is not the key of the certificate {files.cert}"
                ) from None
            raise LinkError(
                _unusable("tetragon_tls_cert_file", files.cert, error, "certificate with its key")
            ) from None
        except OSError as error:
            raise LinkError(
                _unusable("tetragon_tls_cert_file", files.cert, error, "certificate with its key")
            ) from None
    return context


def _credentials(files: TlsFiles) -> Any:
    tls_context(files)
    try:
        contents = [path.read_bytes() if path is not None else None for path in (files.ca, files.key, files.cert)]
    except OSError as error:
        raise LinkError(f"CALLSTREAM_TETRAGON_TLS_*_FILE: {error.filename}: {error.strerror}") from None
    return grpc.ssl_channel_credentials(*contents)


def _unusable(field: str, path: Path | None, error: OSError, content: str) -> str:
    reason = f"holds no PEM {content}" if isinstance(error, ssl.SSLError) else os.strerror(error.errno or 0)
    return f"{variable_of(field)}: {path}: {reason}"
