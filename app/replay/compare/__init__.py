"""Compares a replay with the records that the live stages published."""
