"""Reports: what a run or a comparison of runs came to, as one HTML file that needs nothing else."""
