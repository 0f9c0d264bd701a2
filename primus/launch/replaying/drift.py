"""What has changed since a run was recorded: said before it is run again, and refused where that was asked for."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from primus.launch.config.arguments import key_of
from primus.launch.place import Place
from primus.launch.problems import Unfit
from primus.launch.replaying import surroundings, younger
from primus.launch.replaying.original import Original
from primus.launch.replaying.surroundings import Surroundings
from primus.node.plan import Plan

# Variables that say where things are, not what a job computes: a change is told, and never a reason to refuse.
_PLACES = ("PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONUNBUFFERED", "LD_LIBRARY_PATH", "HF_HOME")
_PLACE_PREFIXES = ("SLURM_", "CONDA_")
_SHOWN = 12
"""Lines of one kind that are printed; the number of the rest is told."""


@dataclass(frozen=True)
class Drift:
    """One difference. `matters`: it can change what the job computes."""

    kind: str
    name: str
    then: str
    now: str
    matters: bool = True

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"{self.kind}{name}: {self.then or 'none'} then, {self.now or 'none'} now"


def compare(then: Surroundings, now: Surroundings) -> list[Drift]:
    """Every difference. What was not recorded, or cannot be told here, is no difference."""
    found = []
    for kind in ("device", "driver", "python", "commit", "image"):
        old, new = getattr(then, kind), getattr(now, kind)
        if old != new and ((old and new) or kind == "device"):
            found.append(Drift("git commit" if kind == "commit" else kind, "", old, new))
    if then.packages and now.packages:
        found += [Drift("package", *change) for change in _changes(then.packages, now.packages)]
    if then.environment and now.environment is not None:
        found += [
            Drift("environment", *change, matters=not _is_place(change[0]))
            for change in _changes(then.environment, now.environment)
        ]
    return found


def report(original: Original, plan: Plan, place: Place, strict: bool) -> None:
    """Print what has drifted since the run was recorded.

    Raises Unfit (exit code 3) when `strict` and something that matters has.
    """
    run, purpose = original.run, original.purpose
    found = _young(original, plan) + compare(surroundings.recorded(run), surroundings.here(plan, place))
    matters = [d for d in found if d.matters]
    if not found:
        print(f"{purpose} of {run.where}: nothing has changed since", file=sys.stderr)
        return
    lines = [f"{purpose} of {run.where}: changed since:"]
    for kind in dict.fromkeys(d.kind for d in found):
        of_kind = sorted((d for d in found if d.kind == kind), key=lambda d: not d.matters)
        lines += [f"  {d}" for d in of_kind[:_SHOWN]]
        if len(of_kind) > _SHOWN:
            lines.append(f"  and {len(of_kind) - _SHOWN} more of kind {kind}")
    print("\n".join(lines), file=sys.stderr)
    if strict and matters:
        raise Unfit("replay_strict: " + "; ".join(str(d) for d in matters[:3]) + ". Nothing was started.")


def _young(original: Original, plan: Plan) -> list[Drift]:
    """Settings that the record does not have, and that the user has not typed: they are younger than the run."""
    typed = [key_of(override) for override in plan.overrides]
    return [
        Drift("setting", key, "", str(value), matters=False)
        for key, value in younger.added(original.run.config, plan.config)
        if not any(f"{key}.".startswith(f"{word}.") for word in typed)
    ]


def _changes(then: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str, str]]:
    names = sorted({*then, *now})
    return [(n, then.get(n, ""), now.get(n, "")) for n in names if then.get(n) != now.get(n)]


def _is_place(name: str) -> bool:
    return name in _PLACES or name.startswith(_PLACE_PREFIXES)
