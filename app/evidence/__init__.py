"""What is kept as evidence: digests, audit records, signed documents and archives.

Live stages write it and replay checks it, so neither has to import the other.
"""
