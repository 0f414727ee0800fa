"""Worths become the log-probability of what people did."""
