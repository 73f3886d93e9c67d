"""Symbols of files: the index format, the look-up of a file offset, how symbol names and module paths are written."""
