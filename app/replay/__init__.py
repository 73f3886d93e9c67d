"""Recording, replay and audit: the stages' pure steps over recorded events, with digests of all that goes in and out.

No Faust and no consumer group here: topics are read by position, and nothing is committed.
"""
