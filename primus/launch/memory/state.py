"""What a framework keeps of a training whatever the batch, in bytes on one rank."""

from dataclasses import dataclass


@dataclass(frozen=True)
class State:
    """`layer` is what a layer adds while it is at work: weights gathered, gradients on their way; `head` the output."""

    weights: float
    gradients: float
    optimizer: float
    layer: float
    head: float
