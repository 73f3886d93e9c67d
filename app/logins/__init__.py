"""Who we are to Kafka and to registries: tokens, where they come from, and when a new one is due."""
