"""How processes live and end: the supervisor of stage processes, exit codes, limits, garbage collection."""
