"""The stages in data order: canonicalize, privacy, hot_symbols. Pure modules, and one agent.py each for Faust."""
