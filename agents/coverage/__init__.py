"""When the events of a node are complete: its coverage records, as one row a node, and the decision over them.

`node_window.py` decides for one window of one node. `callstream coverage` and the watches both read their answer there.
"""
