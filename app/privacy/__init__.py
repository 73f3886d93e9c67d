"""The privacy policy from the operator's side: load it, test it, explain it, audit a topic with it."""
