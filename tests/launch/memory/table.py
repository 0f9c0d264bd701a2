"""The table of docs/memory.md: `python -m tests.launch.memory.table`."""

from primus.launch import memory
from primus.launch.config import catalog, reading
from primus.launch.members import member

from ...test_conf import CONF, read

EXPERIMENTS = [name for name in catalog.choices("experiment", [CONF]) if name not in ("default", "quick")]
TEXTS = ("experiment", "backend", "parallel", "micro x global batch, sequence", "recomputed")
NUMBERS = ("state", "activations", "at work", "reserve", "GiB", "of")


def row(name: str) -> str:
    """One experiment; memory in GiB per GPU."""
    _, source, request = read(f"experiment={name}")
    task = reading.typed(member("task", request.task["name"]).Settings, request.task, "task", source)
    world_size = request.runtime["nodes"] * (request.ranks_per_node or 1)
    found = memory.estimate(request.model, task, request.backend["name"], world_size)
    degrees = {k: v for k, v in vars(task.parallel).items() if v not in (1, None)}
    state = found.weights + found.gradients + found.optimizer
    cells = [
        name,
        request.backend["name"],
        ", ".join(f"{key} {value}" for key, value in degrees.items()) or "-",
        f"{task.micro_batch} x {task.global_batch}, {task.sequence_length}",
        task.activation_checkpointing,
        *(f"{part / memory.GIB:.1f}" for part in (state, found.activations, found.working, found.reserve, found.total)),
        f"{request.gpu.memory:g}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(f"| {' | '.join((*TEXTS, *NUMBERS))} |\n|{' --- |' * len(TEXTS)}{' ---: |' * len(NUMBERS)}")
    print("\n".join(map(row, EXPERIMENTS)))
