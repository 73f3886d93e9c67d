"""Everything that talks to a Kafka broker or the schema registry: clients, readers of topics, positions, schemas."""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())  # commands say what matters; only processes have a log
