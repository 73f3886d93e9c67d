"""tetragon-sim: a gRPC server that serves recorded Tetragon events, for demos, tests and benchmarks.

Production code does not import it.
"""
