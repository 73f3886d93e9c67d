"""Symbols of files: the index format, the look-up of a file offset, and the one form of symbol names and module paths.

`index` finds the function of an offset, `function_names` what a name means, `resolver_names` what an IFUNC chooses
among.
Several stages may read symbols, so this folder imports no stage.
"""
