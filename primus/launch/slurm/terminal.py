"""The srun that opens a terminal in an allocation of its own. Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from primus.launch.place import Place
from primus.launch.slurm.options import Settings, directives
from primus.launch.slurm.script import shell_words
from primus.node.container import mounts, pyxis
from primus.node.plan import Plan

PTY = "--pty"

_OF_BATCH_ALONE = ("kill-on-invalid-dep", "requeue", "no-requeue")


def argv(settings: Settings, plan: Plan, place: Place, program: Sequence[str]) -> tuple[str, ...]:
    """srun with the options that sbatch would get, for one node; `program` is what the node runs, after `setup`.

    Raises BadRequest for options as `directives` does.
    """
    of_batch = directives(replace(settings, nodes=1, signal=0), plan.run_id)
    given = [(name, value) for name, value in of_batch if name not in _OF_BATCH_ALONE]
    given += [("ntasks", "1"), ("chdir", str(place.directory)), ("export", "ALL"), ("mpi", "none")]
    options = [f"--{name}" if value is None else f"--{name}={value}" for name, value in given]
    words = tuple(program)
    inside = plan.container if plan.container and plan.container.engine == "pyxis" else None
    if inside:
        options += pyxis.srun_options(plan, mounts.of_plan(plan, str(place.primus)), place.environ)
        words = (inside.python, *words[1:])
    if settings.setup:
        lines = [f"{shell_words(line, 'runtime.setup')} || exit" for line in settings.setup]
        words = ("bash", "-c", "\n".join([*lines, f"exec {shlex.join(words)}"]))
    return ("srun", *options, PTY, *(pyxis.command(inside, words) if inside else words))
