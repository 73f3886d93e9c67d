"""The live stages: from settings to a running process, and what surrounds each pure step."""
