"""Where a job runs. Each module holds `Settings` and `command(settings, place) -> tuple[str, ...]`, the outermost command."""
