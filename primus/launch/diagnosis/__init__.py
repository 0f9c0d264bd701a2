"""What a failure most likely is: logs and facts of a run against a table of known failures. Standard library."""
