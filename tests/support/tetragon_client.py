"""An ordinary grpcio client of GetEvents, as a test of any server wants it: raw bytes in the order they came."""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import grpc
import grpc.experimental

from schemas.tetragon.filters_pb2 import GetEventsRequest

GET_EVENTS: Final = "/tetragon.FineGuidanceSensors/GetEvents"

OPTIONS: Final = (
    (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.use_local_subchannel_pool", 1),  # each channel has a connection of its own
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)


@contextlib.contextmanager
def channel_to(address: str, credentials: Any = None, options: tuple[Any, ...] = OPTIONS) -> Iterator[Any]:
    """A channel; with `credentials` over TLS."""
    if credentials is None:
        channel = grpc.insecure_channel(address, options)
    else:
        channel = grpc.secure_channel(address, credentials, options)
    with channel:
        yield channel


def get_events(channel: Any, request: GetEventsRequest | None = None, method: str = GET_EVENTS) -> Any:
    """The call: iterate it for the messages' bytes. It waits for the server to come up."""
    encoded = b"" if request is None else request.SerializeToString()
    return channel.unary_stream(method)(encoded, wait_for_ready=True)


def status_of(call: Any) -> tuple[Any, str]:
    """Reads a call to its end and gives its status and message."""
    with contextlib.suppress(grpc.RpcError):
        for _ in call:
            pass
    return call.code(), call.details()
