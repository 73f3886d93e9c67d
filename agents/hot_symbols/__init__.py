"""Public events to a table of the symbols that were really executed, with exact counts."""
