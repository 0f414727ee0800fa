"""What was observed: records at rest, batches for the mathematics, and the ways to split them."""
