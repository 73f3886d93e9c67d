"""The embedded default: a real Apache Kafka and a real schema registry on loopback, for demos, tests and benchmarks.

Rules: everything started here is stopped here, also when this process is killed. Production code does not know it.
"""
