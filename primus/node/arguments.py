"""The agent's command line. Own code: argparse would take 8 ms of every start."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence, Tuple

from primus.node.digits import whole

USAGE = (
    "usage: python <primus>/node --plan FILE --node-rank N|slurm "
    "[--devices 0,1] [--cores 0,1] [--lifeline FD] [--inside] [--shell]"
)
_OPTIONS = ("--plan", "--node-rank", "--devices", "--cores", "--lifeline")
_FLAGS = ("--inside", "--shell")


@dataclass(frozen=True)
class Arguments:
    """The command line. `devices` and `cores` narrow this job to some of the node's; None leaves it all of them.

    `lifeline` is an inherited file descriptor; that it ends means that the launcher is gone. `slurm`: the node rank
    and the other nodes are those of the Slurm task that this process is in. `inside`: this is in the container of the
    plan, and the first line of the lifeline is what was handed in. `at_terminal`: not a job, but
    its first rank's place for a person. `given` are the words themselves.
    """

    plan: Path
    node_rank: int
    devices: Optional[Tuple[str, ...]]
    cores: Optional[Tuple[int, ...]]
    lifeline: Optional[int]
    slurm: bool = False
    at_terminal: bool = False
    inside: bool = False
    given: Tuple[str, ...] = ()

    def again(self) -> Tuple[str, ...]:
        """The words for the same part of the plan, in another place."""
        return tuple(word for word in self.given if not word.startswith(("--lifeline=", *_FLAGS)))


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Arguments:
    """Read the command line; raises ValueError that says what is wrong with it. `environ` tells Slurm's node rank."""
    given: Dict[str, str] = {}
    rest = list(argv)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name in _FLAGS and not equals:
            given[name] = ""
            continue
        if name not in _OPTIONS:
            raise ValueError(f"there is no option {name}")
        if not equals:
            if not rest:
                raise ValueError(f"{name} needs a value")
            value = rest.pop(0)
        given[name] = value
    if "--plan" not in given:
        raise ValueError("--plan is missing")
    slurm = given.get("--node-rank") == "slurm"
    return Arguments(
        plan=Path(given["--plan"]).absolute(),
        node_rank=_slurm_rank(environ) if slurm else _number("--node-rank", given.get("--node-rank", "0")),
        devices=tuple(filter(None, given["--devices"].split(","))) if "--devices" in given else None,
        cores=tuple(_number("--cores", c) for c in given["--cores"].split(",")) if "--cores" in given else None,
        lifeline=_number("--lifeline", given["--lifeline"]) if "--lifeline" in given else None,
        slurm=slurm,
        at_terminal="--shell" in given,
        inside="--inside" in given,
        given=tuple(name if name in _FLAGS else f"{name}={value}" for name, value in given.items()),
    )


def _slurm_rank(environ: Mapping[str, str]) -> int:
    from primus.node.allocation import number  # here: the guard of a node alone stays small

    return number(environ, "SLURM_NODEID")


def _number(option: str, text: str) -> int:
    if not whole(text):
        raise ValueError(f"{option}: {text!r} is not a number")
    return int(text)
