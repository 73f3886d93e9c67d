"""The Faust transport: fetched batches in, finished work committed, deliveries awaited, state that can be rebuilt.

`ledger` keeps the books; `consumer` and `transport` put them into Faust; `delivery` writes to Kafka; `table` is state
with a changelog; `stage_app` sets up one Faust app for a stage; `watchdog` ends a process that makes no progress.
"""
