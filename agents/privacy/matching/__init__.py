"""What rules and the redaction engine share: patterns behind a gate, the scan of one text, and masks."""
