"""Reads a call's symbols, workload and time out of its Avro bytes, without decoding the rest."""
