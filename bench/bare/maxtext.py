"""MaxText by its own entry and base.yml, on synthetic data."""
