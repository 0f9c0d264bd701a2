"""What runs beside the ranks of a task: hooks and patch files, before them and after."""
