"""Megatron-LM: its own `pretrain`, given arguments, token files and a place for the metrics."""
