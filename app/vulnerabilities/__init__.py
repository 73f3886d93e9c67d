"""Vulnerability databases as files: read within limits, offline, and named by their digest and date."""
