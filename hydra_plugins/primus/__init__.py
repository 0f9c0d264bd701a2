"""Primus's launcher and sweeper, where Hydra looks for plugins: thin, the work is in `primus.launch`."""
