"""On which nodes files were seen mapped, by build id: what one ingest remembers, and what all records say.

Loader events are sightings. That a file was never seen on a node says nothing (`docs/decisions/placements.md`).
"""
