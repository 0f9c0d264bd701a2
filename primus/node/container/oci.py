"""The words that docker and podman have in common."""

from typing import List, Tuple

from primus.node.container.start import Start
from primus.node.plan import Mount


def options(start: Start) -> Tuple[str, ...]:
    """All that both engines take, before the image. Its own entrypoint is not run: it could eat the lifeline."""
    container = start.container
    words = [
        *("--rm", "--interactive", *(("--tty",) if start.interactive else ())),
        *("--name", start.name, "--label", f"primus.run={start.run}"),
        *("--pull=never", "--log-driver", "none"),  # pulled before if at all; the output is in the run's own logs
        *("--network", "host", "--hostname", start.node.name),
        *(("--shm-size", container.shm_size) if container.shm_size else ("--ipc", "host")),
        *("--workdir", start.directory),
    ]
    for mount in start.mounts:
        words += ["--mount", _bind(mount)]
    for limit in limits(start):
        words += ["--ulimit", limit]
    for device in start.node.devices:
        words += ["--device", device]
    for group in start.node.groups:
        words += ["--group-add", str(group)]
    if start.node.vendor == "amd":
        # Ranks of one node read each other's memory (process_vm_readv, ROCm's IPC), which needs the right to trace
        # them; ROCm's own guide asks for both: rocm.docs.amd.com, "Running ROCm Docker containers".
        words += ["--cap-add", "SYS_PTRACE", "--security-opt", "seccomp=unconfined"]
    if start.node.selinux:
        # It would keep the container from what is mounted; to label the user's data anew would change them for good.
        words += ["--security-opt", "label=disable"]
    for variable in container.environment:
        if "=" in variable:
            words += ["--env", variable]
    return (*words, "--entrypoint", start.command[0])


def user(start: Start) -> Tuple[str, ...]:
    """Files in the run directory belong to who started the job. A number that the image does not know has no home."""
    chosen = start.container.user or f"{start.node.uid}:{start.node.gid}"
    number = chosen.partition(":")[0]
    has_home = number == "0" or not number.isdigit() or any(v.startswith("HOME=") for v in start.container.environment)
    return ("--user", chosen, *(() if has_home else ("--env", "HOME=/tmp")))


def limits(start: Start) -> Tuple[str, ...]:
    """`name=soft:hard`: the user's, and memory that may be pinned without bound where InfiniBand pins it."""
    given = start.container.ulimits
    pinned = start.node.infiniband and not any(limit.startswith("memlock=") for limit in given)
    return (*given, *(("memlock=-1:-1",) if pinned else ()))


def rest(start: Start) -> Tuple[str, ...]:
    """The user's own options, the image, and the arguments of its entrypoint."""
    return (*start.container.options, start.container.image, *start.command[1:])


def inspect(engine: str, image: str) -> Tuple[str, ...]:
    """Prints the image's id, then its digests in registries; fails where there is no such image."""
    return (engine, "image", "inspect", "--format", "{{.Id}}{{range .RepoDigests}} {{.}}{{end}}", image)


def pull(engine: str, image: str) -> Tuple[str, ...]:
    """Fetches the image from its registry."""
    return (engine, "pull", "--quiet", image)


def endings(engine: str, name: str, grace_period: float) -> List[Tuple[str, ...]]:
    """End a container, in good order if it can, and remove it; each is right when it is gone already."""
    seconds = str(int(grace_period) + 2)
    return [(engine, "stop", "--time", seconds, name), (engine, "rm", "--force", "--volumes", name)]


def listing(engine: str, name: str) -> Tuple[str, ...]:
    """Prints the name while there is such a container, running or not."""
    return (engine, "ps", "--all", "--filter", f"name={name}", "--format", "{{.Names}}")


def _bind(mount: Mount) -> str:
    return f"type=bind,source={mount.source},target={mount.target}" + (",readonly" if mount.read_only else "")
