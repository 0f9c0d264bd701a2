"""Benchmarks: how fast the parts of a cluster are."""
