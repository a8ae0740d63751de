"""Tests of the harness itself: no cloud, no root, seconds."""
