"""How to reach Tetragon: its address, TLS files and channel options.

Files are read again for every connection, so renewed certificates are used without a restart. The TLS files are
checked before gRPC gets them, because gRPC says no more than "handshake failed". A unix socket has no TLS.
"""

from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.experimental

from app.settings import Settings, SettingsError, variable_of
from app.tls import TlsFiles, TlsFilesError, TlsVariables, tls_context
from schemas.topics import MAX_EVENT_BYTES

_KEEPALIVE_ANSWER_MS: Final = 20_000
_LOOKAHEAD_BYTES: Final = 4 << 20
"""HTTP/2 window of the stream: some 2,000 events on their way while we look away, and fewer window updates; measured,
half a microsecond an event less than with gRPC's own estimate."""
_MAX_FRAME_BYTES: Final = 1 << 20
"""Largest DATA frame that we take; a server that packs its messages may use it."""


TLS_SETTINGS: Final = TlsVariables(
    ca=variable_of("tetragon_tls_ca_file"),
    cert=variable_of("tetragon_tls_cert_file"),
    key=variable_of("tetragon_tls_key_file"),
    name_remedy=f"name the one that it is for in {variable_of('tetragon_tls_server_name')}",
    use_tls=f"set {variable_of('tetragon_tls_ca_file')}",
    no_tls="unset CALLSTREAM_TETRAGON_TLS_*, or use its TLS port",
)
HTTP2: Final = ("h2",)


@dataclass(frozen=True, slots=True)
class AgentLink:
    """How to connect. `server_name` overrides the name to expect in the server's certificate."""

    address: str
    tls: TlsFiles | None
    server_name: str
    keepalive_seconds: int

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
        """Where to connect, for a TCP address."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


def link_of(settings: Settings) -> AgentLink:
    """The link that the settings describe. Raises SettingsError when TLS is set for a unix socket."""
    wanted = ("tetragon_tls_ca_file", "tetragon_tls_cert_file", "tetragon_tls_key_file", "tetragon_tls_server_name")
    chosen = [name for name in wanted if getattr(settings, name)]
    if chosen and settings.tetragon_address.startswith("unix:"):
        raise SettingsError(
            [f"{variable_of(name)} is set, but CALLSTREAM_TETRAGON_ADDRESS is a unix socket" for name in chosen]
        )
    files = TlsFiles(settings.tetragon_tls_ca_file, settings.tetragon_tls_cert_file, settings.tetragon_tls_key_file)
    return AgentLink(
        settings.tetragon_address,
        files if chosen else None,
        settings.tetragon_tls_server_name,
        settings.tetragon_keepalive_seconds,
    )


def open_channel(link: AgentLink) -> Any:
    """A new gRPC channel, which connects when it is first used. Raises TlsFilesError."""
    options: list[tuple[str, int | str]] = [
        (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),  # 7 µs an event instead of 41
        ("grpc.max_receive_message_length", MAX_EVENT_BYTES),  # before and after a message is inflated
        ("grpc.keepalive_time_ms", link.keepalive_seconds * 1000),
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


def _credentials(files: TlsFiles) -> Any:
    tls_context(files, TLS_SETTINGS, HTTP2)
    try:
        contents = [path.read_bytes() if path is not None else None for path in (files.ca, files.key, files.cert)]
    except OSError as error:
        raise TlsFilesError(f"CALLSTREAM_TETRAGON_TLS_*_FILE: {error.filename}: {error.strerror}") from None
    return grpc.ssl_channel_credentials(*contents)
