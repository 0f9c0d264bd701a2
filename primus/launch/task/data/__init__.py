"""Tasks that make the data of training."""
