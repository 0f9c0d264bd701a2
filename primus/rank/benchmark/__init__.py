"""Benchmarks. A module that has a framework in its name imports it; the others are of the standard library."""
