"""Benchmarks, one package each: `python <primus>/rank benchmark.<name> <rank.json>`."""
