"""Guests that are containers: whether they start here, and what nova leaves to do for them."""
