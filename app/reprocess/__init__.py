"""Reprocessing: a changed policy or canonicalizer over history, into a version of the topics beside the live ones.

A version is the live stages over again: the same steps, transport, delivery and books, under consumer groups of its own
and with topics of its own. What is here decides which version it is, makes its topics, says where it begins, and tells
when it has caught up. Nothing here writes to a live topic or group.
"""
