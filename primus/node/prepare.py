"""What this node is to run: its devices, the layout of its ranks, their environment and commands."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence, Tuple

from primus.node import console, devices, environment, guard, host, profile, rdma, rundir
from primus.node.devices import Devices
from primus.node.environment import Resolved, World
from primus.node.plan import Layer, Plan, PlanError, fill
from primus.node.rendezvous import Meet
from primus.node.secrets import worth_masking
from primus.node.supervise import Command
from primus.node.typed import plain

if TYPE_CHECKING:
    from primus.node.topology.binding import Binding


@dataclass(frozen=True)
class Prepared:
    """One node's part of a plan, ready to start: `secrets` are values to mask in output, `shown` the ranks to show.

    `profile` is that of its GPUs where the plan left it open, `ports` are those of RDMA where NCCL needs them,
    `warnings` what is odd about the devices; `bindings` are those of the ranks, empty where they are not bound.
    """

    cpu: host.Cpu
    devices: Devices
    world: World
    environment: Tuple[Resolved, ...]
    base: Mapping[str, str]
    commands: Tuple[Command, ...]
    secrets: Tuple[str, ...]
    shown: Tuple[int, ...]
    profile: str
    ports: Tuple[rdma.Port, ...]
    warnings: Tuple[str, ...]
    bindings: "Tuple[Binding, ...]" = ()

    def known(self) -> Dict[str, Any]:
        """What goes to the facts of the node beside its devices and environment."""
        return {"gpu_profile": self.profile or None, "rdma": plain(self.ports)}


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
    odd = devices.check(job.gpu, job.gpu_models, found)
    meeting = meet(environment.ranks_per_node(job, found), environment.master_port(layers), devices.words(found))
    world = environment.lay_out(job, found, node_rank)
    world = replace(world, master_addr=meeting.address, master_port=meeting.port, interface=meeting.interface)
    chosen = profile.choose(layers, found)
    ports = ports_of(plan, found)
    resolved = variables(plan, directory, found, world, cpu.cores, base, ports, assigned)
    ranks = world.ranks if job.command else ()
    commands = tuple(_command(plan, directory, world, rank, base, resolved, found) for rank in ranks)
    bound: Tuple[Binding, ...] = ()
    if job.numa == "auto":
        bound, commands = _bind(commands, found, environment.overlay(base, layers))
    return Prepared(
        cpu, found, world, resolved, base, commands,
        tuple(worth_masking(environment.secrets(resolved, base).values())),
        _shown(job.console_ranks, world),
        chosen.profile, ports, tuple(filter(None, (odd, chosen.warning, meeting.warning))),
        bound,
    )  # fmt: skip


def ports_of(plan: Plan, found: Devices, root: Path = Path("/")) -> Tuple[rdma.Port, ...]:
    """The RDMA ports of this node, for a job of several nodes with GPUs: others have no use for them."""
    needed = plan.job.network and plan.job.nodes > 1 and found.count
    return rdma.survey(found.count, root) if needed else ()


def layers_here(plan: Plan, found: Devices, base: Mapping[str, str], ports: Sequence[rdma.Port]) -> Tuple[Layer, ...]:
    """The layers of the plan that count on this node, with what was found of its network above the GPU profile's."""
    layers = profile.choose(plan.environment, found).layers
    asked = environment.overlay(base, layers).get(rdma.HCA)
    low = tuple(layer for layer in layers if layer.name == profile.LAYER)
    return (*low, rdma.layer(ports, found, asked, base), *layers[len(low) :])


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
    ports: Sequence[rdma.Port] = (),
    assigned: Optional[Sequence[str]] = None,
) -> Tuple[Resolved, ...]:
    """What every rank of the node gets over `base`, with origins, sorted by name; RANK and its like come on top."""
    values = environment.placeholders(str(directory), plan.run_id, found, world)
    resolved = environment.resolve(layers_here(plan, found, base, ports), base, values)
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
        "PRIMUS_HEARTBEAT": str(directory / rundir.heartbeat(rank)),
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
