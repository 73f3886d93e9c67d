"""Generates loads of events for benchmarks, tests and demos: a fleet, its processes, stacks, secrets and canaries."""
