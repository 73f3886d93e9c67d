"""What was probed, by time: tracing policies, what an agent says of them, and which code had hooks on all its entries.

`policy_file` reads the operator's files, `policy_seen` is what one answer of an agent says, `policy_tracker` makes
windows of answers, and `hook_windows` says when a watched function could not run without an event.
"""
