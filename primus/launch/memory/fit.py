"""Whether a training fits its GPU: what a dry run shows, and what planning warns of."""

from primus.launch import gpus, memory
from primus.launch.config.request import Gpu
from primus.launch.config.terms.model import Model
from primus.launch.config.terms.training import Training
from primus.node.plan import Note

_MEND = (
    "Mend it with task.activation_checkpointing=full, a smaller task.micro_batch, more GPUs, or more of task.parallel"
)


def notes(
    gpu: Gpu, found: str, model: Model, training: Training, backend: str, world_size: int | None
) -> tuple[Note, ...]:
    """One note, where the GPU's memory is known: of the profile `gpu`, else by `found`, the model of the GPU here.

    An estimate: it warns, and refuses nothing.
    """
    profile = gpus.profile(gpu, found)
    if profile is None or profile.memory is None or world_size is None or backend not in memory.FRAMEWORKS:
        return ()
    estimate = memory.estimate(model, training, backend, world_size)
    sizes = f"{estimate.total / memory.GIB:.1f} GiB of {profile.memory:g} GiB per GPU"
    if fits(estimate, profile):
        return (Note("memory", f"{sizes}: {estimate}"),)
    return (Note("memory", f"{sizes}, more than there is by estimate: {estimate}. {_MEND}", warning=True),)


def fits(estimate: memory.Estimate, gpu: Gpu) -> bool:
    """Whether the estimate, its reserve included, is within the memory of the GPU."""
    return gpu.memory is not None and estimate.total <= gpu.memory * memory.GIB
