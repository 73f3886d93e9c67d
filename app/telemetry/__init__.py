"""What a process tells its operator: numbers (metrics), a health endpoint (http) and log lines (logs).

`process_addresses`, `page_reading` and `metric_pages` read the numbers of all processes back.
"""
