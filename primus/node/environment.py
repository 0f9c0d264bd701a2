"""The environment of the ranks: the plan's layers with the origin of each value, then what defines a rank. Pure.

The agent resolves it on the node, `dry_run` with this host's facts; both get the same.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from primus.node.devices import Devices
from primus.node.plan import Job, Layer, PlanError, check_world, fill
from primus.node.secrets import MASK, is_secret, redact_url

SHELL = "environment of the agent"


@dataclass(frozen=True)
class Overridden:
    """A value that lost, and where it came from."""

    value: str
    origin: str


@dataclass(frozen=True)
class Resolved:
    """One variable of the ranks. `overrode` holds what it won over, the nearest last."""

    name: str
    value: str
    origin: str
    overrode: Tuple[Overridden, ...] = ()
    secret: bool = False

    def redacted(self) -> "Resolved":
        """The same as it may be written down."""
        lost = tuple(Overridden(self._masked(o.value), o.origin) for o in self.overrode)
        return Resolved(self.name, self._masked(self.value), self.origin, lost, self.secret)

    def _masked(self, value: str) -> str:
        text = os.fsencode(value).decode(errors="replace")  # a variable may hold any bytes, a file of text may not
        return MASK if self.secret and value else redact_url(text)


@dataclass(frozen=True)
class World:
    """How the ranks of a job are laid out over its nodes, and where they meet; `interface` leads there (else empty)."""

    nodes: int
    node_rank: int
    ranks_per_node: int
    master_addr: str = ""
    master_port: int = 0
    interface: str = ""

    @property
    def size(self) -> int:
        """Ranks in all."""
        return self.nodes * self.ranks_per_node

    @property
    def ranks(self) -> range:
        """The ranks of this node."""
        return range(self.node_rank * self.ranks_per_node, (self.node_rank + 1) * self.ranks_per_node)


def ranks_per_node(job: Job, devices: Devices) -> int:
    """One rank per GPU unless the job says how many, and one on a node that has none."""
    return job.ranks_per_node or max(1, devices.count)


def lay_out(job: Job, devices: Devices, node_rank: int) -> World:
    """The world as it is where all nodes are alike; raises PlanError where the parallel degrees do not fit."""
    if not 0 <= node_rank < job.nodes:
        raise PlanError(f"node rank {node_rank} is not among the {job.nodes} of this plan (0 to {job.nodes - 1})")
    world = World(job.nodes, node_rank, ranks_per_node(job, devices))
    check_world(world.size, job.parallel)
    return world


def placeholders(run_dir: str, run_id: str, devices: Devices, world: World) -> Dict[str, str]:
    """What the named placeholders of a plan stand for on this node."""
    return {
        "package": str(Path(__file__).resolve().parents[1]),
        "run_dir": run_dir,
        "run_id": run_id,
        "devices": ",".join(devices.visible),
        "vendor": devices.vendor,
        "node_rank": str(world.node_rank),
        "ranks_per_node": str(world.ranks_per_node),
        "world_size": str(world.size),
    }


def overlay(base: Mapping[str, str], layers: Sequence[Layer]) -> Dict[str, str]:
    """`base` with the layers' values as the plan has them: before any placeholder or the GPUs can be known."""
    certain = [layer for layer in layers if layer.only is None]
    given = {v.name: v.value for layer in certain for v in layer.variables if v.value is not None}
    return {**base, **given}


def resolve(layers: Sequence[Layer], base: Mapping[str, str], values: Mapping[str, str]) -> Tuple[Resolved, ...]:
    """The layers' variables, lowest layer first, with what each overrode; sorted by name.

    `base` is the environment that the agent was started with; it holds the secrets (a Variable whose value is None). A
    secret that is not there is left out. `values` fills the placeholders.
    """
    found: Dict[str, Resolved] = {}
    for layer in layers:
        for variable in layer.variables:
            name, secret = variable.name, variable.value is None or is_secret(variable.name)
            value = base.get(name) if variable.value is None else fill(variable.value, values)
            if value is None:
                continue
            lost = _overrode(name, found, base, value)
            found[name] = Resolved(name, value, variable.origin, lost, secret or (name in found and found[name].secret))
    return tuple(found[name] for name in sorted(found))


def prevail(
    resolved: Sequence[Resolved], given: Mapping[str, str], origin: str, base: Mapping[str, str]
) -> Tuple[Resolved, ...]:
    """`resolved` with values that win over all layers; sorted by name."""
    found = {variable.name: variable for variable in resolved}
    for name, value in given.items():
        found[name] = Resolved(name, value, origin, _overrode(name, found, base, value))
    return tuple(found[name] for name in sorted(found))


def _overrode(name: str, found: Mapping[str, Resolved], base: Mapping[str, str], value: str) -> Tuple[Overridden, ...]:
    if name in found:
        return (*found[name].overrode, Overridden(found[name].value, found[name].origin))
    return (Overridden(base[name], SHELL),) if name in base and base[name] != value else ()


def defaults(resolved: Sequence[Resolved], base: Mapping[str, str], cores: int, world: World) -> Tuple[Resolved, ...]:
    """Variables that the agent sets where neither the plan nor the agent's own environment does."""
    known = {variable.name for variable in resolved} | set(base)
    ranks = world.ranks_per_node
    ours = [
        Resolved("OMP_NUM_THREADS", str(max(1, cores // ranks)), f"{cores} cores / {ranks} ranks"),
        Resolved("PYTHONUNBUFFERED", "1", "node agent"),
    ]
    if world.interface:  # else each library guesses, and takes one of a container's bridge as soon as the right one
        ours += [
            Resolved("GLOO_SOCKET_IFNAME", world.interface, "route to node 0"),
            Resolved("NCCL_SOCKET_IFNAME", f"={world.interface}", "route to node 0"),  # `=`: not what begins so
        ]
    return tuple(variable for variable in ours if variable.name not in known)


def for_rank(
    base: Mapping[str, str],
    resolved: Sequence[Resolved],
    world: World,
    rank: int,
    run: Mapping[str, str],
) -> Dict[str, str]:
    """The whole environment of one rank. What defines a rank wins over everything, whoever set it.

    `run` holds the variables by which a rank knows of its run, PRIMUS_RUN_DIR and the like.
    """
    return {
        **base,
        **{variable.name: variable.value for variable in resolved},
        **run,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank - world.ranks[0]),
        "WORLD_SIZE": str(world.size),
        "LOCAL_WORLD_SIZE": str(world.ranks_per_node),
        "NODE_RANK": str(world.node_rank),
        "MASTER_ADDR": world.master_addr,
        "MASTER_PORT": str(world.master_port),
    }


# Variables of the agent's own environment that change what a job does: written down with the layers' own.
_TELLING = (
    *("NCCL_", "RCCL_", "CUDA_", "HIP_", "ROCR_", "HSA_", "TORCH", "PYTORCH", "NVTE_", "TRITON_", "JAX_", "XLA_"),
    *("GLOO_", "UCX_", "OMP_", "MKL_", "SLURM_", "CONDA_", "PYTHON", "HF_"),
)
_TELLING_NAMES = ("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV")


def recorded(resolved: Sequence[Resolved], base: Mapping[str, str]) -> List[Resolved]:
    """What the run directory keeps: the resolved variables, and those of `base` that matter to a job; redacted."""
    names = {variable.name for variable in resolved}
    kept = [
        Resolved(name, value, SHELL, (), is_secret(name))
        for name, value in base.items()
        if name not in names and (name in _TELLING_NAMES or name.startswith(_TELLING))
    ]
    return [variable.redacted() for variable in sorted([*resolved, *kept], key=lambda v: v.name)]


def secrets(resolved: Sequence[Resolved], base: Mapping[str, str]) -> Dict[str, str]:
    """Variables whose values must not be seen in any output: secret by name, or passed by name alone in the plan."""
    ours = {variable.name: variable.value for variable in resolved if variable.secret}
    return {**{name: value for name, value in base.items() if is_secret(name)}, **ours}


def master_port(layers: Sequence[Layer]) -> Optional[str]:
    """MASTER_PORT as the plan asks for it; one that only lies about in the agent's own environment does not count."""
    asked = [v.value for layer in layers for v in layer.variables if v.name == "MASTER_PORT" and v.value is not None]
    return asked[-1] if asked else None
