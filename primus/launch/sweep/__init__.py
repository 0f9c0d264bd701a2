"""Many jobs on this machine: packed on its devices, shown in a table, recorded as one parent run with a child per job."""
