"""Primus: one command for every job around training large models on a GPU cluster.

This module is imported on the launch side, on every node and in every rank; it stays empty but for the version.
"""

__version__ = "0.1.0"
