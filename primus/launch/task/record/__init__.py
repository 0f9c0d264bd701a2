"""Tasks about the MLflow record of runs."""
