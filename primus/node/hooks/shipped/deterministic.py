"""hooks.use=[deterministic]: the same run gives the same numbers, on the same devices and versions; slower.

What the frameworks have for it is asked of them; what they leave to variables is set, for this node's devices alone.
"""

from typing import Dict, Tuple

from primus.node.devices import detect
from primus.node.hooks.spec import Context, Hooks

# NCCL and RCCL: the ring sums in one order, that of Tree depends on the topology. 0: Transformer Engine leaves out
# algorithms whose results differ from run to run. Both as in megatron-core 0.19.2, training/determinism.py.
_ANY_GPU = {"NCCL_ALGO": "Ring", "NVTE_ALLOW_NONDETERMINISTIC_ALGO": "0"}
# One of the two workspaces with which cuBLAS is reproducible on several streams:
# https://docs.nvidia.com/cuda/cublas/#results-reproducibility
_NVIDIA = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
# rocBLAS adds without atomics: https://rocm.docs.amd.com/projects/rocBLAS/en/latest/reference/env-variables.html
_AMD = {"ROCBLAS_DEFAULT_ATOMICS_MODE": "0"}
# Autotuning included: https://github.com/openxla/xla/pull/12520
_XLA = "--xla_gpu_deterministic_ops=true"
# TorchTitan 0.3.0: `deterministic` of DebugConfig (config/configs.py). megatron-core 0.19.2: --deterministic-mode.
_ARGUMENTS = {"torchtitan": "debug.deterministic", "megatron": "deterministic_mode"}


class Deterministic(Hooks):
    """Variables and arguments; what the user has set wins, and the log says so."""

    timeout = 60

    def before_task(self, context: Context) -> None:
        """Set what there is for the backend and the devices."""
        vendor = detect(context.plan.job.gpu, context.environ).vendor
        environment, arguments = settings(context.plan.backend, vendor, context.environ.get("XLA_FLAGS", ""))
        if not environment and not arguments:
            context.skip("ranks of no framework on a CPU: there is nothing to set")
        for name, value in environment.items():
            context.set_environment(name, value)
        for name, switch in arguments.items():
            context.set_argument(name, switch)


def settings(backend: str, vendor: str, xla_flags: str = "") -> Tuple[Dict[str, str], Dict[str, bool]]:
    """Variables, and arguments of the framework, for ranks of a backend (or of none) on devices of a vendor."""
    environment: Dict[str, str] = {}
    if vendor != "cpu":
        environment = {**_ANY_GPU, **(_NVIDIA if vendor == "nvidia" else _AMD)}
        if backend == "maxtext":
            environment["XLA_FLAGS"] = f"{xla_flags} {_XLA}".strip()
    arguments = {_ARGUMENTS[backend]: True} if backend in _ARGUMENTS else {}
    return environment, arguments
