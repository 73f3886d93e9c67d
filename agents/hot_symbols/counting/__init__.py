"""Counts the symbols of calls, and turns the counts into cumulative partials for each source partition."""
