"""What a user does with Trove, and what has to come of it: a capability a file."""
