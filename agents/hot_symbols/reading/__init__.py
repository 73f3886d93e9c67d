"""Reads a call's symbols, workload and time out of its Avro bytes; calls that say the same become sightings."""
