"""Looking into topics: records of every kind as JSON documents and as lines for people, and filters over them."""
