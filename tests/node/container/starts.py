"""A container as tests of each engine's words begin with it."""

from typing import Any

from primus.node.container.node import Node
from primus.node.container.start import Start
from primus.node.plan import Container, Mount


def start(engine: str, node: Node | None = None, **changes: Any) -> Start:
    """`changes` are of the container, or `interactive`."""
    interactive = changes.pop("interactive", False)
    return Start(
        container=Container(**{"engine": engine, "image": "some/image:1", **changes}),
        node=node or Node(),
        name="primus-r-0-abcd",
        run="r",
        mounts=(Mount("/opt/primus", "/opt/primus", True), Mount("/data", "/in")),
        directory="/project",
        command=("bash",) if interactive else ("python3", "-I", "/opt/primus/node"),
        interactive=interactive,
    )


def follows(words: tuple[str, ...], *expected: str) -> bool:
    """Whether these words stand there, one after another."""
    return any(words[i : i + len(expected)] == expected for i in range(len(words)))


NVIDIA = Node("nvidia")
AMD = Node("amd", ("/dev/kfd", "/dev/dri"), (44, 109))
INFINIBAND = Node("cpu", ("/dev/infiniband",), (), True)
SOMEBODY = Node(uid=1000, gid=100, limits=("nofile=1024:4096", "nproc=-1:-1"))
