"""Everything that talks to a Kafka broker or the schema registry: clients, readers of topics, positions, schemas."""

import logging

# commands say what matters; only processes have a log
logging.getLogger(__name__).addHandler(logging.NullHandler())
logging.getLogger("aiokafka").addHandler(logging.NullHandler())
