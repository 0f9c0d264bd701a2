"""Backends: each module translates the neutral terms into those of one framework, without importing it."""
