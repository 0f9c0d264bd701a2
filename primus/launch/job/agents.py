"""How the agents of a job start: by srun, one on each node; on a single node as a child, which is sooner. Pure."""

import sys
from collections.abc import Mapping
from pathlib import Path

from primus.node.container import mounts, pyxis
from primus.node.plan import Plan

_PACKAGE = Path(__file__).resolve().parents[2]
_STEP = ("--ntasks-per-node=1", "--kill-on-bad-exit=0", "--wait=0", "--mpi=none", "--input=none", "--export=ALL")
"""An agent that ends must not end those of the other nodes, which have still to say how their ranks ended."""


def agent(directory: Path, node_rank: str, python: str = sys.executable) -> tuple[str, ...]:
    """The command line of an agent."""
    return (python, "-I", "-S", str(_PACKAGE / "node" / "__main__.py"), *words(directory, node_rank))


def words(directory: Path, node_rank: str) -> tuple[str, ...]:
    """What an agent is told, but for its lifeline."""
    return ("--plan", str(directory / "plan.json"), "--node-rank", node_rank)


def by_srun(plan: Plan, watched: bool) -> bool:
    """Whether srun starts the agents. `watched`: preemption is to be noticed, and Slurm tells the tasks of steps only
    (GraceTime of slurm.conf(5)): its first signal does not reach the batch script. Pyxis is an option of srun."""
    return plan.job.nodes > 1 or watched or _in_pyxis(plan)


def step(plan: Plan, directory: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The srun of a step with an agent on each node.

    Since Slurm 22.05 srun does not take --cpus-per-task over from the job.
    """
    cpus = environ.get("SLURM_CPUS_PER_TASK")
    node_rank = "slurm" if plan.job.nodes > 1 else "0"
    srun = ("srun", f"--nodes={plan.job.nodes}", *_STEP, *((f"--cpus-per-task={cpus}",) if cpus else ()))
    if not plan.container or not _in_pyxis(plan):
        return (*srun, *agent(directory, node_rank))
    options = pyxis.srun_options(plan, mounts.of_plan(plan, str(_PACKAGE)), environ)
    return (*srun, *options, *pyxis.command(plan.container, agent(directory, node_rank, plan.container.python)))


def _in_pyxis(plan: Plan) -> bool:
    return plan.container is not None and plan.container.engine == "pyxis"
