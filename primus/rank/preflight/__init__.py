"""What the ranks' interpreter says of itself before a job."""
