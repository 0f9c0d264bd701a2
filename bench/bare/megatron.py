"""Megatron by torchrun and a script as its own pretrain_gpt.py, which its wheel does not hold."""
