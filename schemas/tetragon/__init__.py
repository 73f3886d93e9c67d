"""Tetragon's wire contract: generated from proto/tetragon by `make proto`, never edited.

`from schemas.tetragon import events_pb2`; beside it are `process_pb2`, `arguments_pb2`, `filters_pb2` and
`service_pb2`. The shallow view of an event, which leaves sub-messages undecoded, is `schemas.tetragon_parts_pb2`.
"""
