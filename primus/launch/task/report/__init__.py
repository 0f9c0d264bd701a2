"""Tasks that report on what has been run."""
