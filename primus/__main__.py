"""`python -m primus`: the same as the console script."""

from primus.cli import main

main()
