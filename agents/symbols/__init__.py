"""Symbols of files: the index format, the look-up of a file offset, and the one form of symbol names and module paths.

Several stages may read symbols, so this folder imports no stage.
"""
