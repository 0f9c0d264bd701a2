"""The composed config as typed values. A `DictConfig` ends here; everything after takes a `Request`."""

from dataclasses import dataclass, field
from typing import Any, Literal

from primus.launch.config.terms.model import Model
from primus.node.typed import bounded


@dataclass(frozen=True)
class Output:
    """Where runs are kept."""

    root: str


@dataclass(frozen=True)
class Tracking:
    """MLflow. `wait` is in seconds."""

    enabled: bool
    uri: str | None
    wait: float = bounded(least=0)


@dataclass(frozen=True)
class Console:
    """`ranks`: whose output is shown: all, none, or ranks with commas between."""

    ranks: str


@dataclass(frozen=True)
class Environment:
    """Variables that the user sets, and names or patterns of variables that the user's shell hands on."""

    set: dict[str, str]
    forward: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """What the nodes of a job tell NCCL of their network; None: as each node finds it, where `detect`."""

    detect: bool
    interface: str | None
    hca: tuple[str, ...] | None
    gid_index: int | None = bounded(least=0, most=255)
    traffic_class: int | None = bounded(least=0, most=255)


@dataclass(frozen=True)
class Node:
    """How the node agent behaves; times are in seconds. `numa`: whether ranks are bound to the cores near their GPU.

    `alike`: what it is that nodes have different GPUs or drivers.
    """

    numa: Literal["none", "auto"]
    alike: Literal["warn", "error"]
    grace_period: float = bounded(least=0)
    metrics_interval: float = bounded(least=0)
    lost_after: float = bounded(above=0)
    meet_within: float = bounded(above=0)


@dataclass(frozen=True)
class Restart:
    """How often the ranks of a job start again after a failure, and after how many seconds for the first time."""

    max: int = bounded(least=0)
    backoff: float = bounded(least=0)


@dataclass(frozen=True)
class Watchdog:
    """When a job hangs; `timeout` is in seconds without progress, auto by what its ranks are, None: nobody looks."""

    action: Literal["end", "report"]
    timeout: float | Literal["auto"] | None = bounded(above=0)


@dataclass(frozen=True)
class Hooks:
    """Programs beside the ranks. `use` are those that run only when asked for, by name; `timeout` is in seconds."""

    enabled: bool
    use: tuple[str, ...]
    dirs: tuple[str, ...]
    timeout: float = bounded(above=0)


@dataclass(frozen=True)
class Sweep:
    """How a sweep starts."""

    resume: bool


@dataclass(frozen=True)
class Experiment:
    """A preset; its name is the folder of its runs and the experiment in MLflow."""

    name: str


@dataclass(frozen=True)
class Links:
    """What joins a GPU to the others of its node; `bandwidth` is that of one link, both directions together (GB/s)."""

    name: str
    count: int = bounded(least=1)
    bandwidth: float = bounded(above=0)


@dataclass(frozen=True)
class Smoke:
    """What a GPU must reach in task=smoke, as a share of what is published of it.

    None: of memory and all-reduce by what its vendor demands (`checks`), where that is known; else it is not judged.
    `gemm` is of tflops.bf16, `memory` of memory_bandwidth, `all_reduce` (bus bandwidth) of link_bandwidth.
    """

    gemm: float | None = bounded(least=0, most=1)
    memory: float | None = bounded(least=0, most=1)
    all_reduce: float | None = bounded(least=0, most=1)


@dataclass(frozen=True)
class Gpu:
    """A GPU profile: what ranks on that device get in their environment, and its figures by its data sheet.

    It is recognised by `pci` (`vendor:device`, hexadecimal) or by `devices`, patterns (`*`, `?`) of the names that its
    driver gives it; `architecture` is as compilers name it, gfx942 or sm_90. `memory` is what a program sees, in GiB;
    `memory_bandwidth` is in GB/s, as is `link_bandwidth`, one way to the other GPUs of the node; `tflops` are dense
    peaks by precision in TFLOP/s. `checks` are what a sound node reaches at least, by its vendor: `copy` in memory and
    `all_reduce` of all its GPUs (bus) in GB/s, `gemm_fp32` in TFLOP/s. `auto`, `cpu` and the plain profiles of a vendor
    have none of these.
    """

    name: str
    environment: dict[str, str]
    devices: tuple[str, ...] = ()
    vendor: Literal["nvidia", "amd"] | None = None
    architecture: str | None = None
    pci: tuple[str, ...] = ()
    memory: float | None = bounded(above=0, default=None)
    memory_bandwidth: float | None = bounded(above=0, default=None)
    link_bandwidth: float | None = bounded(above=0, default=None)
    tflops: dict[str, float] = field(default_factory=dict)
    links: Links | None = None
    checks: dict[str, float] = field(default_factory=dict)
    smoke: Smoke | None = None


@dataclass(frozen=True)
class Profile:
    """Which training steps are traced: the first and the last, counted from 1; None: none."""

    steps: tuple[int, ...] | None


@dataclass(frozen=True)
class Container:
    """The container that the node agent runs in: `name` is the engine, or none, or auto. See primus.node.plan."""

    name: Literal["none", "auto", "docker", "podman", "apptainer", "pyxis"]
    image: str | None
    mounts: tuple[str, ...]
    python: str
    environment: tuple[str, ...]
    shm_size: str | None
    ulimits: tuple[str, ...]
    user: str | None
    pull: Literal["missing", "always"] | None
    options: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """Everything that was asked for.

    `runtime`, `backend`, `data` and `task` are typed by the module that their `name` chooses.
    """

    runtime: dict[str, Any]
    container: Container
    gpu: Gpu
    backend: dict[str, Any]
    model: Model
    data: dict[str, Any]
    task: dict[str, Any]
    experiment: Experiment
    output: Output
    tracking: Tracking
    console: Console
    env: Environment
    network: Network
    node: Node
    restart: Restart
    watchdog: Watchdog
    hooks: Hooks
    patches: tuple[str, ...]
    sweep: Sweep
    dry_run: bool | Literal["json"]
    debug: bool
    profile: Profile
    replay: str | None
    replay_strict: bool
    replay_trust: bool
    resume: str | None
    checkpoint: str | None
    run: str | None
    log: str | None
    follow: bool
    rank: int | None
    to: str | None
    run_a: str | None
    run_b: str | None
    runs: tuple[str, ...] | None
    preflight: bool
    baseline: str | None
    baseline_missing: Literal["error", "warn"]
    baseline_threshold: float = bounded(least=0, below=1, hint="a share: 0.05 is 5 %")
    ranks_per_node: int | None = bounded(least=1)
