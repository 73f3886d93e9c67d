"""Symbols of files: the index format, the look-up of a file offset, and how symbol names and module paths are written."""
