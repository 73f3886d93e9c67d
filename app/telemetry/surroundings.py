"""What a process is and what it depends on, as metrics: version, prefix, the registry, the ends of certificates.

A thread looks at what takes time. None of it ends or delays the process's own work.
"""

import logging
import threading
import time
from typing import Final

from app.kafka.registry import RegistryError, SchemaRegistry
from app.operators.program_version import program_version
from app.settings import Settings, SettingsError
from app.telemetry import state_metrics
from app.telemetry.certificates import certificate_ends
from app.telemetry.meter import Meter
from schemas import topics

log = logging.getLogger(__name__)

REGISTRY_SECONDS: Final = 30.0
"""Between two questions to the registry: one short answer, and an alert waits for minutes."""

FILES_SECONDS: Final = 300.0
"""Between two looks at the certificates' files, which last for days at least."""

NO_PREFIX: Final = "none"


class Surroundings:
    """Publishes them until `stop`."""

    def __init__(self, settings: Settings, meter: Meter) -> None:
        self._settings = settings
        self._meter = meter
        self._stop = threading.Event()
        self._trouble: str | None = None
        meter.set(state_metrics.DEPLOYMENT_INFO, 1, settings.topic_prefix or NO_PREFIX)

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="surroundings", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _run(self) -> None:
        program = program_version()  # asks git in a checkout, which takes a moment
        self._meter.set(state_metrics.BUILD_INFO, 1, program.version, program.commit)
        files_at = 0.0
        while True:
            if time.monotonic() >= files_at:
                files_at = time.monotonic() + FILES_SECONDS
                self.look_at_files()
            self.look_at_registry()
            if self._stop.wait(REGISTRY_SECONDS):
                return

    def look_at_files(self) -> None:
        """Read when the certificates end."""
        ends = certificate_ends(self._settings)
        self._meter.replace(state_metrics.CERTIFICATE_END, {(variable,): end for variable, end in ends.items()})

    def look_at_registry(self) -> None:
        """Ask the registry for a subject that every process needs."""
        subject = self._settings.name(topics.subject(topics.COVERAGE))
        try:
            with SchemaRegistry.from_settings(self._settings) as registry:
                trouble = None if registry.versions(subject) else f"it has no {subject}"
        except (RegistryError, SettingsError, OSError) as error:
            trouble = str(error)
        if trouble is not None and self._trouble is None:
            log.warning("the schema registry cannot be used: %s", trouble)
        self._trouble = trouble
        self._meter.set(state_metrics.REGISTRY_UP, trouble is None)
