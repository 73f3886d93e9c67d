"""Raw Tetragon bytes to canonical events: the only stage that knows Tetragon's wire format."""
