"""The Tetragon simulator for failure tests: it can reset its connections."""

from tests.support.watched_simulator import WatchedSimulator


class DroppingSimulator(WatchedSimulator):
    """A simulator that can lose its connections as a crash would."""

    def drop_connections(self) -> int:
        """Reset every connection without a message, and return their number; new ones are accepted."""
        return self._on_loop(self._connections.drop)
