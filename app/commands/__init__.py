"""One module a command; each exports `command`. They parse, call the part that does the work, and print."""
