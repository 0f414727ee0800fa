"""Arrays become numbers."""
