"""Fixtures that any test may ask for."""

from tests.support.broker import embedded, topic_prefix

__all__ = ["embedded", "topic_prefix"]
