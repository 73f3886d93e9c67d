"""What was published, in the formats that other tools read: files from a window of calls or from the hot-symbol table.

Everything here reads public topics only, so nothing that the privacy stage withheld can be in a file.
"""
