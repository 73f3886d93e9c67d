"""All that touches the world: commands, settings, ingest, Kafka, the live stages, and the tools for operators.

Reading order: `__main__` (commands), `settings`, `topology` (the picture of the pipeline), `ingest`, `streaming`.
"""
