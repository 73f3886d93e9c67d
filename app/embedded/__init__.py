"""The embedded default: a real Apache Kafka and a real schema registry on loopback, for demos, tests and benchmarks.

Everything that it starts ends with this process, even if this process is killed.
"""
