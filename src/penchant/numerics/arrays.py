"""The only place that branches on the array library."""

from typing import Any

# NumPy or torch: named here so that no annotation elsewhere imports torch.
Array = Any
