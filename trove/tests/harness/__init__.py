"""What the fixtures stand on: a plain library that knows nothing of pytest."""
