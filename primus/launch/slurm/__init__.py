"""Jobs of a Slurm cluster: the batch script, its submission, and what the controller says of it."""
