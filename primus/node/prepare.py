"""What this node is to run: its devices, the layout of its ranks, their environment and commands."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Mapping, Optional, Sequence, Tuple

from primus.node import console, devices, environment, guard, host, rundir
from primus.node.devices import Devices
from primus.node.environment import Resolved, World
from primus.node.plan import Plan, PlanError, fill
from primus.node.rendezvous import Meet
from primus.node.secrets import worth_masking
from primus.node.supervise import Command

if TYPE_CHECKING:
    from primus.node.topology.binding import Binding


@dataclass(frozen=True)
class Prepared:
    """One node's part of a plan, ready to start: `secrets` are values to mask in output, `shown` the ranks to show.

    `warning` is what is odd about the devices; `bindings` are those of the ranks, empty where they are not bound.
    """

    cpu: host.Cpu
    devices: Devices
    world: World
    environment: Tuple[Resolved, ...]
    base: Mapping[str, str]
    commands: Tuple[Command, ...]
    secrets: Tuple[str, ...]
    shown: Tuple[int, ...]
    warning: Optional[str]
    bindings: "Tuple[Binding, ...]" = ()


def prepare(
    plan: Plan,
    directory: Path,
    node_rank: int,
    assigned: Optional[Sequence[str]],
    base: Mapping[str, str],
    meet: Meet,
) -> Prepared:
    """Work out this node's part. `assigned` are the devices given to this job of several, None: all that are visible.

    `meet` says where the ranks of all nodes meet, and may raise for itself. Raises PlanError or ValueError, with
    what is wrong and how to mend it, where the plan does not fit the node, and NoDevices where the plan is for GPUs and
    the node has none.
    """
    job, layers = plan.job, plan.environment
    cpu = host.survey()
    found = devices.detect(job.gpu, environment.overlay(base, layers))
    if assigned is not None:
        found = devices.restrict(found, assigned)
    warning = devices.check(job.gpu, job.gpu_models, found)
    meeting = meet(environment.ranks_per_node(job, found), environment.master_port(layers))
    world = environment.lay_out(job, found, node_rank)
    world = replace(world, master_addr=meeting.address, master_port=meeting.port, interface=meeting.interface)
    resolved = variables(plan, directory, found, world, cpu.cores, base, assigned)
    ranks = world.ranks if job.command else ()
    commands = tuple(_command(plan, directory, world, rank, base, resolved, found) for rank in ranks)
    bound: Tuple[Binding, ...] = ()
    if job.numa == "auto":
        bound, commands = _bind(commands, found, environment.overlay(base, layers))
    return Prepared(
        cpu, found, world, resolved, base, commands,
        tuple(worth_masking(environment.secrets(resolved, base).values())),
        _shown(job.console_ranks, world),
        warning,
        bound,
    )  # fmt: skip


def _bind(
    commands: Tuple[Command, ...], found: Devices, environ: Mapping[str, str]
) -> "Tuple[Tuple[Binding, ...], Tuple[Command, ...]]":
    """The commands of the ranks on the cores and the memory near their devices."""
    from primus.node import bind  # here: their import costs a job that does not ask for it time for nothing
    from primus.node.topology import sysfs

    topology = sysfs.survey()
    bound = bind.suggested(topology, found, environ, len(commands))
    numactl = bind.memory(bound, topology, environ.get("PATH"))
    every = zip(commands, bound)
    return bound, tuple(replace(c, cores=b.cores, argv=bind.argv(c.argv, b, numactl)) for c, b in every)


def variables(
    plan: Plan,
    directory: Path,
    found: Devices,
    world: World,
    cores: int,
    base: Mapping[str, str],
    assigned: Optional[Sequence[str]] = None,
) -> Tuple[Resolved, ...]:
    """What every rank of the node gets over `base`, with origins, sorted by name; RANK and its like come on top."""
    values = environment.placeholders(str(directory), plan.run_id, found, world)
    resolved = environment.resolve(plan.environment, base, values)
    resolved += environment.defaults(resolved, base, cores, world)
    if plan.job.gpu == "cpu":
        return environment.prevail(resolved, devices.hidden(), "gpu=cpu", base)
    if assigned is not None and found.variable:
        given = {found.variable: ",".join(found.visible)}
        return environment.prevail(resolved, given, "devices given to this job", base)
    return resolved


def _command(
    plan: Plan,
    directory: Path,
    world: World,
    rank: int,
    base: Mapping[str, str],
    resolved: Sequence[Resolved],
    found: Devices,
) -> Command:
    run = {
        "PRIMUS_RUN_DIR": str(directory),
        "PRIMUS_RUN_ID": plan.run_id,
        "PRIMUS_METRICS": str(directory / rundir.rank_metrics(rank)),
        "PRIMUS_STOP_FILE": str(directory / rundir.STOP),
    }
    environ = environment.for_rank(base, resolved, world, rank, run)
    values = environment.placeholders(str(directory), plan.run_id, found, world)
    argv = [fill(word, values) for word in plan.job.command]
    log = rundir.rank_log(world.node_rank, rank)
    # Slurm's `scancel --signal=USR1` reaches every process of a step, and would kill ranks that look for the stop file.
    # What a user runs may be a shell script with a trap, which a shell refuses for a signal that was ignored before.
    ignored = () if plan.task == "command" else guard.FORWARDED
    return Command(rank, argv, environ, fill(plan.job.directory, values), log, ignored)


def _shown(choice: str, world: World) -> Tuple[int, ...]:
    try:
        return tuple(rank for rank in range(world.size) if console.shows(choice, rank))
    except ValueError:
        raise PlanError(f"console.ranks={choice} is none of: all, none, a rank, ranks like 0,3") from None
