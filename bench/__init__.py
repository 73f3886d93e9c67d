"""Benchmarks, on the real broker, and their recorded results: `make bench`, or `python -m bench NAME`."""
