"""Benchmarks: how fast what training is made of is here."""
