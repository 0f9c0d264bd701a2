"""Bandwidth of memory, and between host and device."""
