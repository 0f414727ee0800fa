"""Context and options become features."""
