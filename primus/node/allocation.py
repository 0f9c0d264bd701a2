"""The nodes that Slurm has given to a job, from the environment of its tasks. Pure."""

import re
from dataclasses import dataclass
from typing import Iterator, List, Mapping, Tuple

from primus.node.digits import whole

# More than Slurm itself can hold (MAX_SLURM_NODES is 65,536): a list that expands to more is a slip.
_MOST = 65536
_RANGE = r"([0-9]+)(?:-([0-9]+))?"


@dataclass(frozen=True)
class Allocation:
    """A node's place: `hosts` in the order of node ranks, `key` and `restart` tell this start of a job from others."""

    node_rank: int
    hosts: Tuple[str, ...]
    key: str
    restart: int = 0


def of_slurm(environ: Mapping[str, str], nodes: int) -> Allocation:
    """The allocation of the Slurm task that has this environment, for a plan of so many nodes.

    Raises ValueError when a variable is missing or odd, or when Slurm has given another number of nodes.
    """
    given = number(environ, "SLURM_JOB_NUM_NODES")
    if given != nodes:
        raise ValueError(f"Slurm has given this job {given} nodes (SLURM_JOB_NUM_NODES), and the plan is for {nodes}")
    node_rank = number(environ, "SLURM_NODEID")
    hosts = expand(_need(environ, "SLURM_JOB_NODELIST"))
    if len(hosts) != given:
        named = environ["SLURM_JOB_NODELIST"]
        raise ValueError(f"SLURM_JOB_NODELIST={named} names {len(hosts)} nodes, SLURM_JOB_NUM_NODES is {given}")
    if node_rank >= given:
        raise ValueError(f"SLURM_NODEID={node_rank} is not among the {given} nodes of this job (0 to {given - 1})")
    restart = number(environ, "SLURM_RESTART_COUNT") if "SLURM_RESTART_COUNT" in environ else 0
    return Allocation(node_rank, hosts, job(environ), restart)


def number(environ: Mapping[str, str], name: str) -> int:
    """A whole number that Slurm sets; raises ValueError when it is missing or none."""
    text = _need(environ, name)
    if not whole(text):
        raise ValueError(f"{name}={text} is not a number")
    return int(text)


def expand(text: str) -> Tuple[str, ...]:
    """The hosts of a Slurm host list, in its order: `a[01-02,7],b` is a01, a02, a7, b.

    The last bracket of a name runs fastest, and the width of a range's first number is that of all of them, as in
    `scontrol show hostnames`. Raises ValueError where the text is no host list.
    """
    found: List[str] = []
    for word in _words(text):
        for host in _hosts(word, text):
            found.append(host)
            if len(found) > _MOST:
                raise ValueError(f"the host list {text[:80]} names more than {_MOST} hosts")
    return tuple(found)


def _words(text: str) -> Iterator[str]:
    """Split at the commas outside of brackets."""
    depth, start = 0, 0
    for at, char in enumerate(text):
        depth += (char == "[") - (char == "]")
        if depth not in (0, 1):
            raise ValueError(f"the host list {text[:80]} has a bracket too many")
        if char == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    if depth:
        raise ValueError(f"the host list {text[:80]} has a bracket that does not end")
    yield text[start:]


def _hosts(word: str, text: str) -> Iterator[str]:
    if not word:
        raise ValueError(f"the host list {text[:80]!r} has an empty name")
    head, bracket, rest = word.partition("[")
    if not bracket:
        yield head
        return
    ranges, _, tail = rest.partition("]")
    for part in ranges.split(","):
        match = re.fullmatch(_RANGE, part)
        if not match:
            raise ValueError(f"the host list {text[:80]}: [{ranges}] is not made of numbers and ranges of them")
        first, last = match.group(1), match.group(2) or match.group(1)
        if not 0 <= int(last) - int(first) <= _MOST:
            raise ValueError(f"the host list {text[:80]}: {part} is no range")
        for value in range(int(first), int(last) + 1):
            for end in _hosts(tail, text) if tail else ("",):
                yield f"{head}{str(value).zfill(len(first))}{end}"


def job(environ: Mapping[str, str]) -> str:
    """`123`, or `120_4` for an element of an array, as Slurm writes it; raises ValueError where this is no job."""
    if environ.get("SLURM_ARRAY_JOB_ID") and environ.get("SLURM_ARRAY_TASK_ID"):
        return f"{environ['SLURM_ARRAY_JOB_ID']}_{environ['SLURM_ARRAY_TASK_ID']}"
    return _need(environ, "SLURM_JOB_ID")


def _need(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise ValueError(f"{name} is not set: this is no task of a Slurm job (srun sets it)")
    return environ[name]
