"""Answers watches: was a symbol hit, never hit, or not seen, and why."""
