"""What a node checks before its ranks start, and compares with the other nodes. A process of its own: it may hang."""
