"""The device of a rank, and how the ranks of a job find each other: one process and one device each."""

import os
import resource
import sys
import traceback

import jax

from primus.rank.problems import Refused


def connect() -> None:
    """Take this rank's own device and, where there are others, meet them. The device itself is opened by its first use.

    JAX's service is at MASTER_PORT, which the node agent has found free and which nothing else of a JAX job takes. Its
    preemption service is left out: it would swallow SIGTERM, by which the agent stops a rank.
    """
    local = os.environ["LOCAL_RANK"]
    for vendor in ("cuda", "rocm"):
        jax.config.update(f"jax_{vendor}_visible_devices", local)
    world = int(os.environ["WORLD_SIZE"])
    if world == 1:
        return
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
        num_processes=world,
        process_id=int(os.environ["RANK"]),
        local_device_ids=[int(local)],
    )


def disconnect() -> None:
    """Leave the others in order: rank 0 holds the service and goes last."""
    if jax.distributed.is_initialized():
        jax.distributed.shutdown()


def abandon(error: BaseException) -> None:
    """End this process for this error, at once, where there are other ranks.

    On its way out JAX waits for them (`clean_up` in jax/_src/api.py, 0.12), for minutes, as they wait for this one in a
    collective: the first to end would be one that has lost a peer, and not the one that failed.
    """
    if not jax.distributed.is_initialized():
        return
    if isinstance(error, Refused):
        print(f"primus: {error}", file=sys.stderr)
    elif not isinstance(error, SystemExit):
        traceback.print_exception(error)
    code = getattr(error, "exit_code", getattr(error, "code", 1))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def on_cpu() -> bool:
    """Whether JAX found no accelerator."""
    return bool(jax.default_backend() == "cpu")


def name() -> str:
    """As the driver has it: `NVIDIA H200`."""
    return str(jax.local_devices()[0].device_kind)


def memory_peak() -> int:
    """Bytes: of the device, or of the whole process on a CPU."""
    stats = jax.local_devices()[0].memory_stats()
    if stats:
        return int(stats["peak_bytes_in_use"])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # KiB on Linux
