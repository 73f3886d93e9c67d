"""Which windows of a node are complete: coverage records folded to one row a node, and the decision over them."""
