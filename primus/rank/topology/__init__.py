"""`task=analyze/topology`: how the nodes are wired. Standard library alone, so that it runs in any image."""
