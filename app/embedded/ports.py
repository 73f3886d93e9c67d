"""Loopback ports: checks a requested one, and chooses a free one.

Chosen ports are below the range from which the kernel takes ports for outgoing connections. While a killed broker is
down, a port inside that range can be taken, even by the client that tries to reach the broker: TCP on loopback can
connect to itself.
"""

import random
import socket
from pathlib import Path

from app.embedded.failures import EmbeddedError, Failure

LOOPBACK = "127.0.0.1"
_LOWEST = 15_000
_TRIES = 200


def require_free(port: int, use: str, option: str) -> None:
    """Raise EmbeddedError(PORT_IN_USE) if something listens on the loopback port that `use` wants."""
    if not is_free(port):
        raise EmbeddedError(
            Failure.PORT_IN_USE,
            f"port {port} on {LOOPBACK} is in use, and {use} wants it; stop what listens there or pick another with"
            f" {option} (0 picks a free one)",
        )


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def pick_free(taken: frozenset[int]) -> int:
    """Choose a free loopback port that is not in `taken`.

    Raises EmbeddedError(PORT_IN_USE) if it finds none in a bounded number of tries.
    """
    chooser = random.SystemRandom()  # seeded programs running side by side must not choose alike
    for _ in range(_TRIES):
        port = chooser.randrange(_LOWEST, _first_outgoing_port())
        if port not in taken and is_free(port):
            return port
    raise EmbeddedError(Failure.PORT_IN_USE, f"no free port found on {LOOPBACK} in {_TRIES} tries")


def _first_outgoing_port() -> int:
    try:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        low = 32_768
    return low if low > _LOWEST + _TRIES else 65_536
