"""What is trained, on what and how, in neutral terms: the groups `model` and `data`, and the training tasks.

Each backend translates these into its own. The YAML files hold the defaults; a key that is missing there is an error.
"""
