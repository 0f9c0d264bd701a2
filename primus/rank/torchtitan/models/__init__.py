"""TorchTitan's own blocks put together by dimensions: one module for each of its folders that is used.

Each has `decoder(d)`, the config of the model, and `PARALLELIZE`, the folder's own function. First weights are drawn as
the folder draws them (0.3.0).
"""
