"""What the harness and the embedded cloud both stand on; it imports neither."""
