"""What runs once on each node. Standard library only, Python >= 3.9: any training image can run it as it is."""
