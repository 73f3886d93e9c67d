"""Reprocessing: a changed policy or canonicalizer over history, into a version of the topics beside the live ones.

A version is a second set of the live stages: the same steps, transport, delivery and books, with consumer groups and
topics of its own. This package decides which version to run, makes its topics, sets where it begins, and reports when
it has caught up. It never writes to a live topic or group.
"""
