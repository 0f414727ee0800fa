"""A log-density becomes a belief."""
