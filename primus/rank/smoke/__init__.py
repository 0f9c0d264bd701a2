"""A moment of work for one device."""
