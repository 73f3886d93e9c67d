"""The embedded broker for failure tests: each server can be killed, paused and started again alone, on its port."""

import os
import signal

from app.embedded.broker import EmbeddedBroker
from app.embedded.jvm import JavaProcess


class BreakableBroker(EmbeddedBroker):
    """An embedded broker whose servers can be broken while clients use them."""

    @property
    def kafka_pid(self) -> int:
        """Process id of Kafka."""
        return self._running(self._kafka).pid

    @property
    def registry_pid(self) -> int:
        """Process id of the registry."""
        return self._running(self._registry).pid

    def kill_kafka(self) -> None:
        """SIGKILL: connections break, nothing is flushed."""
        self._running(self._kafka).kill()

    def restart_kafka(self) -> None:
        """Stop Kafka cleanly if it still runs, start it on the same port and data, and wait until it serves."""
        self._restart(self._running(self._kafka))
        self._await_kafka()

    def pause_kafka(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        os.kill(self.kafka_pid, signal.SIGSTOP)

    def resume_kafka(self) -> None:
        """SIGCONT after `pause_kafka`."""
        os.kill(self.kafka_pid, signal.SIGCONT)

    def kill_registry(self) -> None:
        """SIGKILL."""
        self._running(self._registry).kill()

    def restart_registry(self) -> None:
        """Stop the registry cleanly if it still runs, start it on the same port and data, and wait until it serves."""
        self._restart(self._running(self._registry))
        self._await_registry()

    def _restart(self, process: JavaProcess) -> None:
        process.ask_to_stop()
        process.wait_stopped()
        process.start()
