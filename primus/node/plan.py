"""The plan: what is to run, where, with which environment. Made once, printed by `dry_run`, run, and recorded.

Values that only a node can know are named placeholders in braces (`{primus.run_dir}`, `{primus.devices}`); `fill`
replaces them, on the node when the job runs and with this host's facts when `dry_run` explains the plan.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

from primus.node.typed import plain, read

SCHEMA = 1
WORKERS = "{primus.package}/rank"
"""The word of a job's command by which its ranks are workers of Primus, and no program of the user's."""

TYPED = "command line: "
"""How the origin of a variable begins that the user typed."""


@dataclass(frozen=True)
class Variable:
    """One environment variable of the ranks. `value` is None for a secret: the agent has it in its own environment."""

    name: str
    value: Optional[str]
    origin: str


@dataclass(frozen=True)
class Gpus:
    """The GPUs that a profile is for: of these PCI ids (`vendor:device`, hexadecimal) or names (patterns).

    With neither it is for whatever of its vendor (nvidia, amd) no other profile of the plan is for.
    """

    profile: str
    vendor: str
    pci: Tuple[str, ...] = ()
    devices: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Layer:
    """Variables with one source; a later layer of the plan wins over an earlier one.

    `only`: it counts on a node with such GPUs alone; the node decides (primus.node.profile).
    """

    name: str
    variables: Tuple[Variable, ...]
    only: Optional[Gpus] = None


@dataclass(frozen=True)
class File:
    """A file to write before the ranks start; `path` is relative to the run directory."""

    path: str
    text: str


@dataclass(frozen=True)
class Code:
    """The source tree that the user stood in: its root, and the git commit that is checked out (None: not in git)."""

    directory: str
    commit: Optional[str]


@dataclass(frozen=True)
class Watchdog:
    """When a job hangs: after `timeout` seconds without progress of any rank. `action`: end it, or report alone."""

    timeout: float
    action: str = "end"


@dataclass(frozen=True)
class Job:
    """What each node starts.

    `ranks_per_node` None means one rank per GPU, or a single rank on a node without one. `parallel` holds the degrees
    whose product must divide the world size (tensor, pipeline, ...). `gpu_models` are patterns of the names of the
    profile's GPUs. Times are in seconds; a node that is silent for `lost_after` is lost, and nodes
    that have not found each other after `meet_within` end the job. `numa` is none or auto: see primus.node.bind.
    `network`: each node of several looks for its RDMA ports and tells NCCL of them. `alike`: what different GPUs or
    drivers are, a reason to warn or an error.

    `restarts`: how often the ranks start again after a failure, for the first time after `restart_backoff` seconds.
    `watchdog`: None where nobody looks whether the ranks make progress.

    `checks`: what each node checks before its ranks start, `preflight` or `smoke`, by the settings in the file
    `<checks>.json` of the run directory. A job whose `command` is empty is its checks alone.
    """

    nodes: int
    ranks_per_node: Optional[int]
    command: Tuple[str, ...]
    directory: str
    gpu: str
    parallel: Dict[str, int]
    console_ranks: str
    grace_period: float
    metrics_interval: float
    gpu_models: Tuple[str, ...] = ()
    lost_after: float = 30.0
    meet_within: float = 120.0
    numa: str = "none"
    checks: Optional[str] = None
    network: bool = False
    restarts: int = 0
    restart_backoff: float = 10.0
    watchdog: Optional[Watchdog] = None
    alike: str = "warn"


@dataclass(frozen=True)
class Mount:
    """A path of the node in the container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Container:
    """The container that the agent of each node runs in; `engine` is docker, podman, apptainer or pyxis.

    `python` is the interpreter of the image that runs the agent (Python >= 3.9). `ulimits` are `name=soft:hard`,
    `shm_size` such as `16g` (None: the host's own), `options` come verbatim before the image.
    """

    engine: str
    image: str
    mounts: Tuple[Mount, ...] = ()
    python: str = "python3"
    environment: Tuple[str, ...] = ()
    shm_size: Optional[str] = None
    ulimits: Tuple[str, ...] = ()
    user: Optional[str] = None
    pull: Optional[str] = None
    options: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Note:
    """What planning worked out, for people to read; a warning where it speaks against the job."""

    label: str
    text: str
    warning: bool = False


@dataclass(frozen=True)
class Hook:
    """A program that a node runs beside its ranks: a hook, or a patch file (`patch`).

    `file` holds its text in the run directory, which comes from the plan's files; `sha256` is of that text, `origin`
    where it was found. `phase` is before or after; `once`: on node 0 alone, for the whole job. `timeout` is in seconds.
    `call` is the class in the file to be called (see primus.node.hooks.spec); empty: the file runs as a program.
    """

    name: str
    origin: str
    file: str
    sha256: str
    phase: str
    once: bool
    timeout: float
    patch: bool = False
    call: str = ""


@dataclass(frozen=True)
class Patch:
    """A named change to a framework, made in the ranks; `versions` are patterns of the versions of `package`.

    `file` holds its text in the run directory; None: a part of Primus, which its ranks apply by themselves, `applied`
    says when. `sha256` is of the text; `until` says when it can go.
    """

    name: str
    package: str
    versions: Tuple[str, ...]
    reason: str
    until: str
    sha256: str
    applied: str
    file: Optional[str] = None


@dataclass(frozen=True)
class Plan:
    """One job, complete. `directory` is the run directory (absolute); `command` is what the launch side starts.

    `before`: what was typed for the runs that this one repeats. `decided`: options of the framework that the user's
    overrides decide, and by which; no hook sets them otherwise.
    """

    schema: int
    run_id: str
    directory: str
    task: str
    backend: str
    config: Dict[str, Any]
    overrides: Tuple[str, ...]
    code: Code
    job: Job
    environment: Tuple[Layer, ...]
    files: Tuple[File, ...]
    command: Tuple[str, ...]
    sweep: Optional[str] = None
    replay_of: Optional[str] = None
    notes: Tuple[Note, ...] = ()
    container: Optional[Container] = None
    hooks: Tuple[Hook, ...] = ()
    patches: Tuple[Patch, ...] = ()
    before: Tuple[str, ...] = ()
    decided: Dict[str, str] = field(default_factory=dict)


class PlanError(ValueError):
    """The plan cannot run on the devices that there are."""


def to_json(plan: Plan) -> str:
    """The plan as JSON text, ending in a newline."""
    return json.dumps(plain(plan), indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Plan:
    """The plan back from its JSON; raises ValueError (DataError names the keys) when it is not one of this schema."""
    try:
        data = json.loads(text)
    except RecursionError:
        raise ValueError("the plan is nested too deeply") from None
    if isinstance(data, dict) and data.get("schema") != SCHEMA:
        raise ValueError(f"plan schema {data.get('schema')!r}, this Primus reads {SCHEMA}")
    return read(Plan, data)


def check_world(world: int, parallel: Mapping[str, int]) -> None:
    """Raise PlanError, with the arithmetic, unless the world size is a multiple of the product of the degrees."""
    degrees = {name: n for name, n in parallel.items() if n > 1}
    product = 1
    for n in degrees.values():
        product *= n
    if world % product:
        arithmetic = " x ".join(f"{name} {n}" for name, n in degrees.items())
        raise PlanError(f"{world} rank{'s' if world != 1 else ''} in all is not a multiple of {arithmetic}")


_PLACEHOLDER = re.compile(r"\{primus\.([a-z_]+)\}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with `{primus.<name>}` replaced by each known value; any other braces stay as they are."""
    return _PLACEHOLDER.sub(lambda m: values.get(m.group(1), m.group(0)), text)
