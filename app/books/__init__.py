"""The books of the pipeline: what every place received, wrote, refused or still has to read."""
