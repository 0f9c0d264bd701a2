"""The plan for a person: what runs where, the environment with its origins, the files. Pure text; `dry_run` prints it."""

import shlex
import textwrap

from primus.launch.place import Place
from primus.node import environment
from primus.node.plan import Plan

_LABEL = 14


def text(plan: Plan, place: Place) -> str:
    """The plan in words. What only a node can know is shown as this machine would resolve it, and says so."""
    job, devices = plan.job, place.devices
    per_node = job.ranks_per_node or max(1, devices.count)
    why = "" if job.ranks_per_node else "  (one per device, as on this machine)"
    rows = [
        ("task", plan.task + (f" with {plan.backend}" if plan.backend else "")),
        ("run", plan.directory),
        ("where", f"{plan.config['runtime']['name']}, {job.nodes} node{'s' * (job.nodes > 1)}"),
        ("devices", f"{devices.describe()}  (gpu={job.gpu})"),
        ("ranks", f"{per_node} per node, {per_node * job.nodes} in all{why}"),
        ("in", job.directory),
        ("code", plan.code.commit or "not in a git checkout"),
        ("command", shlex.join(plan.command)),
        ("each rank", shlex.join(job.command)),
    ]
    if plan.replay_of:
        rows.append(("replay of", plan.replay_of))
    lines = [f"{name:<{_LABEL}}{value}" for name, value in rows]
    return "\n".join([*lines, "", *_environment(plan), "", *_files(plan)])


def _environment(plan: Plan) -> list[str]:
    resolved = environment.resolve_layers(plan.environment, {})
    lines = ["environment of each rank, over the node's own (later sources win):"]
    for variable in resolved:
        shown = "<secret>" if variable.value is None else variable.value
        over = f", over {', '.join(variable.overrode)}" if variable.overrode else ""
        lines.append(f"  {variable.name}={shown}  <- {variable.origin}{over}")
    names = ", ".join(environment.RANK_VARIABLES)
    return [*lines, *textwrap.wrap(f"and from the node agent: {names}", 100, initial_indent="  ", subsequent_indent="    ")]


def _files(plan: Plan) -> list[str]:
    known = ["plan.json", "config.yaml", "overrides.yaml"]
    return ["files to be written in the run directory:", *(f"  {f}" for f in [*known, *(f.path for f in plan.files)])]
