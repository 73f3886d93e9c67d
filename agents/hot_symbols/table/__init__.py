"""Merges partials into the published rows of the hot-symbol table, and queries them."""
