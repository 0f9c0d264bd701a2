"""Where a job runs. Each module holds `Settings` and `command(settings, place)`, which gives the outermost command."""
