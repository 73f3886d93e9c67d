"""The rules of the redaction engine: one module a form in which private values are written, and the words they share."""
