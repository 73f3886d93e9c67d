"""What a process tells its operator: numbers (metrics), a health endpoint (http) and log lines (logs)."""
