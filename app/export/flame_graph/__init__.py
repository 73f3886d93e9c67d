"""The flame graph: its data, the script that draws it, and the file of an export that holds both."""
