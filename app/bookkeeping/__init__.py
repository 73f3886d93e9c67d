"""Answers about what can be relied on: coverage windows, the books of processes and pipeline, dead letters.

Everything here reads, and changes no consumer group. The decisions are pure functions over what was read.
"""
