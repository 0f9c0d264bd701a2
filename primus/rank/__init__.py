"""What runs once per rank (process), beside the framework of the backend."""
