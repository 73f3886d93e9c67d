"""The hot-symbol stage around its pure steps, and everything that answers questions about the table."""
