"""The flags before the task: where it runs. Of primus-cli v26.5 (runner/primus-cli-*.sh in AMD-AGI/Primus), and more.

Everything here is data; what a flag without a key means is in `layers`.
"""

from itertools import pairwise

from primus.launch.cli.flags import Flag, Takes, flag
from primus.launch.slurm.options import TYPED

EXPERIMENT = flag("--config", "--exp")
REPLAY = flag("--replay")
ENV = flag("--env", "-e")
PATCH = flag("--patch", key="patches", listed=True)
DEBUG = flag("--debug", key="debug", takes="nothing")
DRY_RUN = flag("--dry-run", key="dry_run", takes="nothing")
STRICT = flag("--strict", takes="nothing")

EVERYWHERE = (EXPERIMENT, DEBUG, DRY_RUN, STRICT, REPLAY)
_OWN_LOGS = "the run directory has every log: <run>/logs, and primus task=logs run=<run>"

DIRECT = (
    *EVERYWHERE,
    ENV,
    PATCH,
    flag("--single", key="ranks_per_node", takes="nothing", to=1),
    flag("--numa", key="node.numa", takes="nothing", to="auto"),
    flag("--no-numa", key="node.numa", takes="nothing", to="none"),
    flag("--silent", key="console.ranks", takes="nothing", to="none"),
    flag("--log_file", "--log-file", instead=_OWN_LOGS),
    flag("--script", instead="a program of your own is: -- command task.command='python script.py'"),
)

# Options of docker and podman whose meaning is the engine's alone (docs.docker.com/reference/cli/docker/container/run).
_ENGINE_VALUES = (
    *("--add-host", "--annotation", "--blkio-weight", "--cap-add", "--cap-drop", "--cgroup-parent", "--cgroupns"),
    *("--cpu-shares", "--cpus", "--cpuset-cpus", "--cpuset-mems", "--device", "--device-cgroup-rule", "--dns"),
    *("--dns-search", "--gpus", "--group-add", "--hostname", "--ipc", "--isolation", "--label", "--log-driver"),
    *(
        "--log-opt",
        "--mac-address",
        "--memory",
        "--memory-reservation",
        "--memory-swap",
        "--network",
        "--network-alias",
    ),
    *("--oom-score-adj", "--pid", "--pids-limit", "--platform", "--publish", "--runtime", "--security-opt"),
    *("--stop-signal", "--stop-timeout", "--storage-opt", "--sysctl", "--tmpfs", "--userns", "--uts", "--volumes-from"),
)
_ENGINE_SWITCHES = ("--init", "--no-healthcheck", "--oom-kill-disable", "--privileged", "--read-only")
ENGINE_OPTIONS = (
    *(flag(name, key="container.options") for name in _ENGINE_VALUES),
    *(flag(name, key="container.options", takes="nothing") for name in _ENGINE_SWITCHES),
)

CONTAINER = (
    *DIRECT,
    *ENGINE_OPTIONS,
    flag("--image", key="container.image", takes="text"),
    flag("--mount", "--volume", "-v", key="container.mounts", listed=True),
    flag("--engine", key="container", takes="text"),
    flag("--python", key="container.python", takes="text"),
    flag("--shm-size", key="container.shm_size", takes="text"),
    flag("--ulimit", key="container.ulimits", listed=True),
    flag("--user", key="container.user", takes="text"),
    flag("--pull", key="container.pull", takes="text"),
    flag("--clean", instead="it removed every container of the host; Primus leaves none of its own behind"),
    flag("--name", instead="Primus names its containers after the run"),
    flag("--env-file", instead="give --env NAME=VALUE, --env NAME to hand one on, or --env FILE"),
)

# By name of the setting: spellings beside the long option of sbatch, which `slurm.options.TYPED` has.
_SHORT = {
    "partition": "-p",
    "time": "-t",
    "account": "-A",
    "qos": "-q",
    "cpus": "-c",
    "constraint": "-C",
    "exclude": "-x",
    "nodelist": "-w",
    "dependency": "-d",
}
# sbatch(1) of Slurm 22.05: options that Primus has no setting for and hands on (`runtime.options`).
_SBATCH_VALUES = (
    *("--acctg-freq", "--batch", "--bb", "--bbf", "--begin", "-b", "--clusters", "-M", "--comment", "--container"),
    *("--core-spec", "-S", "--cores-per-socket", "--cpu-freq", "--cpus-per-gpu", "--deadline", "--delay-boot"),
    *("--distribution", "-m", "--extra-node-info", "-B", "--gid", "--gpu-bind", "--gpu-freq", "--gpus", "-G"),
    *("--gpus-per-socket", "--gpus-per-task", "--gres", "--gres-flags", "--hint", "--licenses", "-L", "--mail-type"),
    *("--mail-user", "--mcs-label", "--mem-bind", "--mem-per-cpu", "--mem-per-gpu", "--mincpus", "--network"),
    *("--nodefile", "-F", "--power", "--prefer", "--priority", "--profile", "--sockets-per-node", "--switches"),
    *("--thread-spec", "--threads-per-core", "--time-min", "--tmp", "--uid", "--wait-all-nodes", "--wckey"),
)
_SBATCH_SWITCHES = (
    *("--contiguous", "--hold", "-H", "--ignore-pbs", "--overcommit", "-O", "--oversubscribe", "-s", "--reboot"),
    *("--spread-job", "--use-min-nodes"),
)
_SBATCH_OPTIONAL = ("--exclusive", "--get-user-env", "--nice", "--propagate")
_ONE_TASK = "Primus starts one process on each node, and that the ranks; give ranks_per_node=<n>"


def _handed_on(names: tuple[str, ...], takes: Takes) -> tuple[Flag, ...]:
    """Flags of `runtime.options`, a short spelling with the long one before it."""
    long = [name for name in names if name.startswith("--")]
    after = dict(pairwise(names))
    return tuple(
        flag(
            *((name, after[name]) if not after.get(name, "--").startswith("--") else (name,)),
            key=f"runtime.options.{name[2:]}",
            takes=takes,
        )
        for name in long
    )


SLURM = (
    *EVERYWHERE,
    flag("--nodes", "-N", key="runtime.nodes"),
    *(
        flag(f"--{option}", *((_SHORT[key],) if key in _SHORT else ()), key=f"runtime.{key}", takes="text")
        for key, option in TYPED.items()
        if key != "cpus"
    ),
    flag("--cpus-per-task", "-c", key="runtime.cpus"),
    flag("--job-name", "-J", key="runtime.job_name", takes="text"),
    flag("--requeue", key="runtime.requeue", takes="nothing"),
    flag("--no-requeue", key="runtime.requeue", takes="nothing", to=False),
    flag("--output", "-o", key="runtime.output", takes="text"),
    flag("--error", "-e", note="--error: not written apart: errors are in the log that --output names"),
    *_handed_on(_SBATCH_VALUES, "text"),
    *_handed_on(_SBATCH_SWITCHES, "nothing"),
    *_handed_on(_SBATCH_OPTIONAL, "optional"),
    flag("--ntasks", "-n", instead=_ONE_TASK),
    *(flag(f"--ntasks-per-{what}", instead=_ONE_TASK) for what in ("node", "core", "gpu", "socket")),
    flag("--array", "-a", instead="a sweep is a job array: -- train pretrain -m task.seed=1,2"),
    flag("--signal", instead="give runtime.signal=<seconds before the limit at which ranks save and end>"),
    flag("--export", "--export-file", instead="give env.forward=[NAME] or env.set.NAME=value"),
    flag("--chdir", "-D", instead="the job runs where you type; change there first"),
    flag("--wait", "-W", instead="slurm srun follows the job to its end"),
    flag("--wrap", instead="a command is: -- command task.command='...'"),
    flag("--test-only", instead="give --dry-run"),
    flag("--pty", instead="a shell on the first node is: -- shell"),
    *(
        flag(name, instead="of srun's own output; console.ranks=0,3 says whose output is shown")
        for name in ("--label", "-l", "--unbuffered", "-u")
    ),
)
