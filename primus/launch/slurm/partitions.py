"""The partitions of a cluster: what a job asks for, against what each of them gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from primus.launch.problems import WrongValue
from primus.launch.slurm.options import NO_LIMIT, Settings, check_time, minutes
from primus.node.digits import whole
from primus.node.typed import closest

_REFUSING = ("DRAIN", "INACTIVE")
"""States of a partition in which nothing is queued for it; DOWN is not one, its jobs wait."""
_DEFAULTS = {"partition": "SBATCH_PARTITION", "time": "SBATCH_TIMELIMIT", "qos": "SBATCH_QOS"}


@dataclass(frozen=True)
class Partition:
    """A partition as the controller describes it. `minutes` is its longest time limit, None: it has none.

    `hidden`: people who do not name it are not to hear of it.
    """

    name: str
    default: bool
    state: str
    nodes: int
    minutes: float | None
    hidden: bool = False


def read(text: str) -> list[Partition]:
    """From what `scontrol --all --oneliner show partition` prints."""
    found = []
    for line in text.splitlines():
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "PartitionName" in fields:
            all_nodes, most = fields.get("TotalNodes", "0"), fields.get("MaxNodes", "")
            count = int(all_nodes) if whole(all_nodes) else 0
            found.append(
                Partition(
                    fields["PartitionName"],
                    fields.get("Default") == "YES",
                    fields.get("State", "UP"),
                    min(count, int(most)) if whole(most) else count,
                    minutes(fields.get("MaxTime", "")),
                    fields.get("Hidden") == "YES",
                )
            )
    return found


def check(
    settings: Settings, known: Sequence[Partition], environ: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    """Raise WrongValue for a partition that is not there, and for more nodes or time than any of those named gives.

    `environ` has the user's defaults for sbatch. Returns what the user should know: a QOS may allow more than its
    partition does, and what it allows is told to nobody.
    """
    by, partition = _given(settings, "partition", environ)
    key, time = _given(settings, "time", environ)
    if time is not None:
        check_time(key, time, settings.signal)
    limit = key, minutes(time) if time is not None and time.upper() not in NO_LIMIT else None
    names = partition.split(",") if partition else [one.name for one in known if one.default]
    for name in names:
        if not any(one.name == name for one in known):
            choices = sorted(one.name for one in known if not one.hidden)
            raise WrongValue(by, f"{name!r} is not among {', '.join(choices)}.{closest(name, choices)}")
    chosen = [one for one in known if one.name in names]
    taking = [one for one in chosen if one.state not in _REFUSING]
    others = [one.name for one in known if one.state == "UP" and not one.hidden and not _lack(one, settings, *limit)]
    fits = f" It would fit {', '.join(others)}." if others else ""
    if chosen and not taking:
        raise WrongValue(by, f"{chosen[0].name} takes no jobs now: it is {chosen[0].state}.{fits}")
    lacks = [lack for one in taking if (lack := _lack(one, settings, *limit))]
    warnings = []
    if taking and len(lacks) == len(taking):
        key, message = lacks[0]
        _, qos = _given(settings, "qos", environ)
        if not qos:
            raise WrongValue(key, f"{message}.{fits}")
        warnings.append(f"{key}: {message}. Where its QOS ({qos}) does not allow it either, the job waits for ever")
    if taking and all(one.state == "DOWN" for one in taking):
        warnings.append(f"{by}: {taking[0].name} is down, and the job waits until it is up again")
    return warnings


def _given(settings: Settings, key: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The key by which a value is given, and the value: that of the shell where the settings have none."""
    own, name = getattr(settings, key), _DEFAULTS[key]
    return (name, environ[name]) if own is None and environ.get(name) else (f"runtime.{key}", own)


def _lack(one: Partition, settings: Settings, key: str, wanted: float | None) -> tuple[str, str] | None:
    """The key of what a partition does not give, and why not; `key` is that of the time limit, `wanted` its minutes."""
    if settings.nodes > one.nodes:
        return "runtime.nodes", f"{settings.nodes} is more than the {one.nodes} that a job in partition {one.name} gets"
    if wanted is not None and one.minutes is not None and wanted > one.minutes:
        return key, f"{wanted:g} minutes is more than the {one.minutes:g} that a job in partition {one.name} gets"
    return None
