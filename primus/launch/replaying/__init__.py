"""Running a recorded run again: find it, compose from its config, say what has drifted; pack it, compare two."""
