"""An example of what a package outside Primus can add to it."""
