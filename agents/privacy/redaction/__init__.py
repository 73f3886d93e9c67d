"""The engine that redacts a text: the gate that finds what a text may hold, the scanners, and their masks."""
