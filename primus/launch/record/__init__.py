"""The recorder: a process of its own that tails run directories into MLflow, off the ranks' critical path."""
