"""The embedded cloud: real OpenStack services in their own namespaces on this machine."""
