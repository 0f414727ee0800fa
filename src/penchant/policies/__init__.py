"""A belief becomes an action."""
