"""The shell around the stages: command line, settings, topology, ingest, the Faust transport, embedded broker, replay.

Reading order: `__main__` (commands), `settings`, `topology` (the picture of the pipeline), `ingest`, `streaming`.
"""
