"""The nodes of the fleet: what is known of each, and the word of those who may know which nodes there are."""
