"""Tasks that look at a cluster and measure nothing."""
