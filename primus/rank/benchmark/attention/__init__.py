"""Attention by the kernels that PyTorch has."""
