"""Hooks and patches of a job: found, read without being run, and put into the plan with their text and its hash."""
