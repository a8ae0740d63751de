"""What the project costs and carries, measured: ``python -m bench``."""
