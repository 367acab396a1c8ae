"""Container images from the hashed lock and our own packages, the same bytes each time."""
