"""Features become the worth of each option."""
