"""Files that people already have."""
