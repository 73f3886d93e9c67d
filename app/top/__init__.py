"""`callstream top`: how fast the pipeline runs now, what waits and what is lost, from all processes' metrics pages."""
