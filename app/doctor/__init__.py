"""Checks of everything that a deployment depends on, each with a finding and what to do about it."""
