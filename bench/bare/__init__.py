"""The frameworks as their own users start them: command, environment, and where their output says the throughput.

This folder is on the path of their ranks: no module here may have the name of a framework.
"""

from bare import start_maxtext, start_megatron, start_torchtitan

FRAMEWORKS = {"torchtitan": start_torchtitan, "megatron": start_megatron, "maxtext": start_maxtext}
