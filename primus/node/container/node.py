"""What a node has that its containers must be given: devices, the groups that may use them, the user."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import List, Set, Tuple

from primus.node.devices import detect


@dataclass(frozen=True)
class Node:
    """`vendor` is nvidia, amd or cpu; `devices` are device files and folders of them, `groups` those that own them.

    Numbers of groups, because an image need not know a group by the name `render` that its host gives it. `limits` are
    those of this process, `name=soft:hard`, -1 for none; `name` is its host name.
    `selinux`: that guards its files.
    """

    vendor: str = "cpu"
    devices: Tuple[str, ...] = ()
    groups: Tuple[int, ...] = ()
    infiniband: bool = False
    uid: int = 0
    gid: int = 0
    limits: Tuple[str, ...] = ()
    name: str = "localhost"
    selinux: bool = False


def survey(gpu: str, root: Path = Path("/")) -> Node:
    """This node, from its device files under `root`; `gpu` is what the job asks for (`cpu`: none)."""
    vendor = detect(gpu, {}, root).vendor
    devices: List[str] = []
    if vendor == "amd":
        devices += [path for path in ("/dev/kfd", "/dev/dri") if _at(root, path).exists()]
    infiniband = _at(root, "/dev/infiniband").is_dir()
    groups: Set[int] = set()
    for path in devices:
        groups.update(_groups(_at(root, path)))
    if infiniband:
        devices.append("/dev/infiniband")
    return Node(
        vendor=vendor,
        devices=tuple(devices),
        groups=tuple(sorted(groups)),
        infiniband=infiniband,
        uid=os.getuid(),
        gid=os.getgid(),
        limits=_limits(),
        name=os.uname().nodename,
        selinux=_at(root, "/sys/fs/selinux/enforce").exists(),
    )


def _limits() -> Tuple[str, ...]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    # No more than the kernel has numbers for: podman 4.3 lowers its own limit to that, and could not raise it again.
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    processes = [min(n, most) if n >= 0 else most for n in resource.getrlimit(resource.RLIMIT_NPROC)]
    return ("nofile={}:{}".format(*files), "nproc={}:{}".format(*processes))


def _at(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _groups(path: Path) -> Set[int]:
    files = [path] if not path.is_dir() else [file for file in path.iterdir() if not file.is_dir()]
    return {file.stat().st_gid for file in files} - {0}
