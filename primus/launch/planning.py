"""From a request to a plan. Pure: all that it needs of its surroundings is in `Place`."""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from primus.launch import container, frozen, gpus, network, preflight, watching
from primus.launch.alike import Alike
from primus.launch.confidential import is_confidential, redacted_config, redacted_override
from primus.launch.config import carried, reserved
from primus.launch.config.arguments import key_of
from primus.launch.config.origin import Origins
from primus.launch.config.reading import typed
from primus.launch.config.request import Gpu, Request
from primus.launch.hooks import finding
from primus.launch.members import member
from primus.launch.place import Place
from primus.launch.problems import BadRequest
from primus.launch.results import before
from primus.launch.task import Work
from primus.node.plan import SCHEMA, TYPED, WORKERS, Gpus, Job, Layer, Note, Plan, Variable
from primus.node.profile import LAYER, choose

# Keys that say what this one command does with the job; they are no part of the job, and no part of its record.
OF_THE_COMMAND = (
    "dry_run",
    "debug",
    "replay",
    "replay_strict",
    "replay_trust",
    "resume",
    "sweep",
    "run",
    "follow",
    "rank",
    "to",
    "run_a",
    "run_b",
    "runs",
    "baseline",
    "baseline_threshold",
    "baseline_missing",
)


def build(
    request: Request,
    data: Mapping[str, Any],
    source: Origins,
    place: Place,
    run_id: str,
    *,
    inside: Path | None = None,
    sweep: str | None = None,
    replay_of: str | None = None,
    together: bool = False,
    beside: finding.Found | None = None,
    alike: Alike | None = None,
) -> Plan:
    """The plan of a task that runs on nodes. `data` is the resolved config that `request` was read from.

    `inside` is the parent of the run directory, by default `<output.root>/<experiment.name>`; `together`: it is started
    as one of a sweep's jobs, whose plans are built with the same `alike`; `beside`: hooks and patches of the run that
    this one repeats. Raises BadRequest.
    """
    runtime = member("runtime", request.runtime["name"])
    settings = typed(runtime.Settings, request.runtime, "runtime", source)  # first: tasks ask for its nodes
    task = member("task", request.task["name"])
    work: Work = task.work(typed(task.Settings, request.task, "task", source), request, source, place)
    checks = preflight.before_job(work.backend, request, source, place) if request.preflight and work.command else ()
    directory = (inside or experiment_directory(request, place)) / run_id
    carried.check_command(work.command)
    carried.check_together(work.command, request.env.set)
    carried.check_path(directory, "output.root")
    carried.check_path(Path(place.code.directory), "the source tree")
    carried.check_store(directory, request.tracking.enabled, request.tracking.uri, place.environ)
    freezes = getattr(settings, "frozen", False)
    there = frozen.as_the_job_sees(place, directory) if freezes else place
    job = Job(
        nodes=settings.nodes,
        ranks_per_node=request.ranks_per_node or work.ranks_per_node,
        command=frozen.command(work.command) if freezes else work.command,
        directory=str(there.directory),
        gpu=request.gpu.name,
        parallel=work.parallel,
        console_ranks=_console(request.console.ranks),
        grace_period=request.node.grace_period,
        metrics_interval=request.node.metrics_interval,
        gpu_models=request.gpu.devices,
        lost_after=request.node.lost_after,
        numa=request.node.numa,
        meet_within=request.node.meet_within,
        network=request.network.detect,
        # What is measured is not measured twice, and a benchmark that fails has said what it had to.
        restarts=0 if hasattr(task, "COLUMNS") else request.restart.max,
        restart_backoff=request.restart.backoff,
        watchdog=watching.of_request(request, work),
        alike=request.node.alike,
        checks=work.checks or (preflight.NAME if checks else None),
    )
    framework = WORKERS in work.command
    beside = beside or finding.of_request(request, request.task["name"], work.backend, framework, place)
    config = {key: value for key, value in data.items() if key not in OF_THE_COMMAND}
    environment = layers(request, work, source, place)
    alone = not (together and hasattr(runtime, "sweep"))  # else the sweep has one script and one command for all
    scripts = runtime.files(settings, job, directory, there) if alone and hasattr(runtime, "files") else ()
    return Plan(
        schema=SCHEMA,
        run_id=run_id,
        directory=str(directory),
        task=request.task["name"],
        backend=work.backend,
        config=redacted_config(config, place.environ, alike, source.of),
        overrides=recorded(source.overrides),
        code=place.code,
        job=job,
        environment=environment,
        files=(*work.files, *checks, *scripts, *before.files(request, place), *beside.files),
        command=runtime.command(settings, there) if alone else runtime.sweep_command(settings, directory.parent),
        sweep=sweep,
        replay_of=replay_of,
        notes=(*work.notes, *(frozen.notes(place) if freezes else ()), *_unknown_gpu(environment, place)),
        container=container.of_request(request, place, directory, job.directory),
        hooks=beside.hooks,
        patches=beside.patches,
        before=source.before,
        decided=work.decided if beside.hooks else {},
    )


def recorded(overrides: Sequence[str]) -> tuple[str, ...]:
    """The overrides as a plan keeps them: without secrets, and without those that are about the command."""
    return tuple(redacted_override(o) for o in overrides if key_of(o).split(".")[0] not in OF_THE_COMMAND)


def experiment_directory(request: Request, place: Place) -> Path:
    """`<output.root>/<experiment.name>`, absolute. Raises BadRequest for a name that is no plain folder name."""
    name = request.experiment.name
    if not re.fullmatch(r"[\w][\w.+@=-]{0,99}", name):
        raise BadRequest(
            f"experiment.name: {name[:100]!r} must be a plain folder name: letters, digits and . _ + - @ = alone"
        )
    return output_root(request, place) / name


def output_root(request: Request, place: Place) -> Path:
    """`output.root`, absolute."""
    return place.directory / Path(request.output.root).expanduser()


def layers(request: Request, work: Work, source: Origins, place: Place) -> tuple[Layer, ...]:
    """The environment of the ranks by source, lowest first: GPU profile, network, backend and task, the user's shell,
    the user. With `gpu=auto` there is a layer of each profile, for the nodes that have such GPUs.
    """
    profile, backend = f"conf/gpu/{request.gpu.name}.yaml", f"conf/backend/{work.backend}.yaml"
    return (
        *(_conditional() if request.gpu.name == "auto" else ()),
        Layer(LAYER, _configured("gpu.environment", request.gpu.environment, source, profile)),
        Layer("network", network.variables(request.network, source)),
        Layer("backend", _configured("backend.environment", work.environment, source, backend)),
        Layer("shell", _forwarded(request.env.forward, place)),
        Layer("user", _configured("env.set", request.env.set, source, "")),
    )


def _unknown_gpu(environment: Sequence[Layer], place: Place) -> tuple[Note, ...]:
    """Said here already, where the job may run; the nodes say it in their logs."""
    warning = choose(environment, place.devices).warning
    return (Note("gpu", f"on this machine, {warning}", warning=True),) if warning else ()


@cache
def _conditional() -> tuple[Layer, ...]:
    return tuple(_of_profile(gpu) for gpu in gpus.every())


def _of_profile(gpu: Gpu) -> Layer:
    variables = tuple(_variable(name, value, f"conf/gpu/{gpu.name}.yaml") for name, value in gpu.environment.items())
    return Layer(LAYER, variables, Gpus(gpu.name, gpu.vendor or "", gpu.pci, gpu.devices))


def _configured(key: str, values: Mapping[str, str], source: Origins, otherwise: str) -> tuple[Variable, ...]:
    """The variables of a mapping in the config; their origin is what the user typed, or `otherwise`, or the key."""
    for name in values:
        reserved.check(name, f"{key}.{name}")
    return tuple(_variable(n, v, _typed(f"{key}.{n}", source) or otherwise or f"{key}.{n}") for n, v in values.items())


def _variable(name: str, value: str, origin: str) -> Variable:
    return Variable(name, None if is_confidential(name, value) else value, origin)


def _typed(key: str, source: Origins) -> str:
    """The key that the user typed to set a variable, without the value, which may be a secret; empty: none was."""
    override = source.typed(key)
    return f"{TYPED}{key_of(override)}" if override is not None else ""


def _forwarded(patterns: Sequence[str], place: Place) -> tuple[Variable, ...]:
    found: dict[str, Variable] = {}
    for pattern in patterns:
        reserved.check(pattern, "env.forward")
        names = [name for name in fnmatch.filter(place.environ, pattern) if name not in reserved.INSTEAD]
        if not names and not re.search(r"[*?\[]", pattern):
            raise BadRequest(
                f"env.forward: {pattern} is not set in this shell: export it, or give it with env.set.{pattern}=…"
            )
        for name in names:
            _check_text(name, place.environ[name])
            found[name] = _variable(name, place.environ[name], f"shell (env.forward {pattern})")
    return tuple(found[name] for name in sorted(found))


def _check_text(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"env.forward: the value of {name} is no valid UTF-8") from None


def _console(ranks: str) -> str:
    if ranks not in ("all", "none") and not re.fullmatch(r"\d+(\s*,\s*\d+)*", ranks):
        raise BadRequest(f"console.ranks: {ranks!r} is none of: all, none, or ranks with commas between, such as 0,3")
    return ranks.replace(" ", "")
