"""The rules of the redaction engine: one module a form of private values, and the words that they share."""
