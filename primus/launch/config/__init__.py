"""From what the user typed to a typed request: arguments, composition, reading, and errors that help."""
