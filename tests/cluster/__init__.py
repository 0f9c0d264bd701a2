"""Real clusters on this machine: fixtures for Slurm and, in `docker.py`, a container engine."""
