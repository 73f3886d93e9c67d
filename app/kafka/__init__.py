"""Everything that talks to a Kafka broker or the schema registry: clients, readers of topics, positions, schemas."""
