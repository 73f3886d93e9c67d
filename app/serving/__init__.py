"""What callstream serves over HTTP: the listener with its limits, addresses, and who may ask."""
