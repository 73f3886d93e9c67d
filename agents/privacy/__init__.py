"""Canonical events to public ones: what the policy does not let through does not leave."""
