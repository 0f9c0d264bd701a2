"""The frameworks as their own users start them: command, environment, and where their output says the throughput."""

from bare import maxtext, megatron, torchtitan

FRAMEWORKS = {"torchtitan": torchtitan, "megatron": megatron, "maxtext": maxtext}
