"""Many jobs on this machine: packed on its devices, shown in a table, recorded as a parent run and its children."""
