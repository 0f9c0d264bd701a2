"""The plan for a person: what runs where, the environment with its origins, the files. What `dry_run` prints."""

import json
import shlex
from pathlib import Path

import yaml

from primus.launch import container
from primus.launch.backend import interpreter
from primus.launch.confidential import REDACTED
from primus.launch.place import Place
from primus.node import environment, host, profile, rdma
from primus.node.container import handover
from primus.node.plan import Plan
from primus.node.prepare import variables

_LABEL = 14
_RANK = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
_INTERFACE = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def text(plan: Plan, place: Place) -> str:
    """The plan in words. What only a node can know is shown as this machine would resolve it, and says so."""
    job = plan.job
    world = environment.lay_out(job, place.devices, 0)
    found = place.devices
    none = "no GPU: the CPU" if job.gpu in ("auto", "cpu") else "no GPU: this job must run where there are some"
    devices = f"{found.count} x {found.model}, driver {found.driver}" if found.count else none
    choice = interpreter.of_plan(plan, place)
    why = "" if job.ranks_per_node else "  (one per device; the nodes decide)"
    rows = [
        ("task", plan.task + (f" with {plan.backend}" if plan.backend else "")),
        ("run", plan.directory),
        ("where", f"{plan.config['runtime']['name']}, {job.nodes} node{'s' * (job.nodes > 1)}"),
        ("devices", f"{devices}  (gpu={job.gpu}, as on this machine)"),
        *_found(plan, place),
        ("ranks", f"{world.ranks_per_node} per node, {world.size} in all{why}"),
        *([("numa", "each rank on the cores near its GPU; the nodes decide")] if job.numa == "auto" else []),
        ("in", job.directory),
        ("code", f"git {plan.code.commit}" if plan.code.commit else "not in a git checkout"),
        ("command", shlex.join(plan.command)),
        *(
            [("each node", f"{job.checks}, by {job.checks}.json" + (", before" if job.command else ""))]
            if job.checks
            else []
        ),
        *([("each rank", shlex.join(job.command))] if job.command else []),
        *([("interpreter", f"{choice.python}  ({choice.why})")] if choice else []),
        *([("container", container.argv(plan, place) + "  (as on this machine)")] if plan.container else []),
        *([("replay of", plan.replay_of)] if plan.replay_of else []),
        *_beside(plan),
        *((note.label, note.text) for note in plan.notes),
    ]
    lines = [f"{name:<{_LABEL}}{value}" for name, value in rows]
    if choice and choice.problem:
        lines.append(f"{'warning':<{_LABEL}}{choice.problem}")
    return "\n".join([*lines, "", *_environment(plan, place, world), "", *_files(plan)])


def _beside(plan: Plan) -> list[tuple[str, str]]:
    """Hooks and patches, in the order in which they come."""
    rows = []
    for hook in plan.hooks:
        where = "once" if hook.once else "on each node"
        text = f"{hook.name}  ({hook.phase} the ranks, {where}, at most {hook.timeout:g} s; sha256 {hook.sha256[:12]}"
        rows.append(("patch" if hook.patch else "hook", f"{text}; {hook.origin})"))
    for patch in plan.patches:
        versions = f"{patch.package} {' or '.join(patch.versions)}"
        applied = "as asked" if patch.applied == "asked" else patch.applied
        rows.append(("patch", f"{patch.name}  ({versions}, {applied}; sha256 {patch.sha256[:12]}): {patch.reason}"))
    return rows


def _found(plan: Plan, place: Place) -> list[tuple[str, str]]:
    """What `gpu=auto` and the search for a network come to here."""
    chosen = profile.choose(plan.environment, place.devices)
    rows = [("profile", f"{chosen.profile}  (as on this machine)")] if chosen.profile else []
    if plan.job.network and plan.job.nodes > 1 and plan.job.gpu != "cpu":
        here = f"{rdma.described(ports(plan, place))}  (as on this machine)"
        rows.append(("network", here if place.devices.count else "each node with GPUs looks for its RDMA ports"))
    return rows


def ports(plan: Plan, place: Place) -> tuple[rdma.Port, ...]:
    """Those of this machine, for a job that looks for them."""
    return place.ports if plan.job.network and plan.job.nodes > 1 and place.devices.count else ()


def base_and_resolved(
    plan: Plan, place: Place, world: environment.World
) -> tuple[dict[str, str], tuple[environment.Resolved, ...]]:
    """The environment that an agent here would have, and what each rank gets over it. Secrets have no value."""
    secrets = {v.name: REDACTED for layer in plan.environment for v in layer.variables if v.value is None}
    base = {**(handover.environment(plan, place.environ) if plan.container else place.environ), **secrets}
    here = ports(plan, place)
    return base, variables(plan, Path(plan.directory), place.devices, world, host.cores(), base, here)


def _environment(plan: Plan, place: Place, world: environment.World) -> list[str]:
    _, resolved = base_and_resolved(plan, place, world)
    lines = ["environment of each rank, over that of the node:"]
    for variable in (v.redacted() for v in sorted(resolved, key=lambda v: v.name)):
        over = ", ".join(f"{lost.value} of {lost.origin}" for lost in variable.overrode)
        lines.append(f"  {variable.name}={variable.value}  <- {variable.origin}" + (f", over {over}" if over else ""))
    lines.append(f"  {', '.join(_RANK)}  <- node agent")
    interface = [name for name in _INTERFACE if name not in {variable.name for variable in resolved}]
    if plan.job.nodes > 1 and interface:
        lines.append(f"  {', '.join(interface)}  <- node agent, route to node 0")
    return lines


def _files(plan: Plan) -> list[str]:
    known = ["plan.json", "config.yaml", "overrides.yaml"]
    lines = ["files to be written in the run directory:", *(f"  {f}" for f in [*known, *(f.path for f in plan.files)])]
    for file in plan.files:  # what each rank is told: the neutral terms in those of its framework
        lines += ["", f"{file.path}:", *(f"  {line}" for line in _compact(file.text).splitlines())]
    return lines


def _compact(text: str) -> str:
    """JSON with each innermost list and mapping on a line of its own; any other text, a batch script say, as it is."""
    try:
        data = json.loads(text)
    except ValueError:
        return text
    return yaml.safe_dump(data, default_flow_style=None, sort_keys=False, allow_unicode=True, width=112)
