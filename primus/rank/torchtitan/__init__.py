"""TorchTitan: its own `Trainer`, given a config, a data set and a place for the metrics."""
