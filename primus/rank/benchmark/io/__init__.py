"""Bandwidth of directories."""
