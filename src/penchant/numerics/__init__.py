"""Arrays of either backend, and the linear algebra and integration that every room shares."""
