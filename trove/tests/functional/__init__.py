"""Tests of the embedded cloud with real namespaces and services; they need root."""
