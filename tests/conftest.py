"""Fixtures that any test may ask for."""

from hypothesis import settings

from tests.support.broker import embedded, topic_prefix

__all__ = ["embedded", "topic_prefix"]

# No deadline: how long one example takes is the machine's affair, and performance lives in bench/.
# The same examples in every run, so that a run says something about the change and not about chance; to search further,
# `pytest --hypothesis-profile=default --hypothesis-seed=N`.
settings.register_profile("callstream", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("callstream")
