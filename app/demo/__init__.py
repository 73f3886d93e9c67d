"""The demonstration: the whole pipeline as real processes on a real broker, and what it shows for it."""
