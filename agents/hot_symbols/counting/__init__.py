"""Counts sightings by symbol, and turns the counts into cumulative partials for each source partition."""
