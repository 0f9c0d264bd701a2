"""Hooks that come with Primus; each runs where hooks.use names it. What runs is a copy in the run directory."""
