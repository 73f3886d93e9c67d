"""What topics, schemas and access rights must exist, and the commands to a broker that create and check them."""
