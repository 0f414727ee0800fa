"""What was learnt, and how surely."""
