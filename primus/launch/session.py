"""What happens to a composed config: read it, plan it, then show it, run it, or act on it."""

import gc
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from primus.launch import confidential, frozen, place, planning, show, streams
from primus.launch.alike import Alike
from primus.launch.config import base60, carried, reading
from primus.launch.config.arguments import key_of
from primus.launch.config.composing import Composed
from primus.launch.config.origin import Origins
from primus.launch.config.request import Request
from primus.launch.hooks import finding
from primus.launch.members import member
from primus.launch.problems import INTERRUPTED, OK, BadRequest, JobFailed
from primus.launch.replaying.original import Original
from primus.launch.slurm import parameters
from primus.node.plan import Plan
from primus.node.typed import plain

base60.keep_text()  # at import: in the process of another launcher, Hydra composes before it calls anything of ours


@dataclass(frozen=True)
class Asked:
    """A composed config, read: as plain data, typed, and with the origin of each value."""

    data: Mapping[str, Any]
    request: Request
    source: Origins


@dataclass(frozen=True)
class SweepBatch:
    """The jobs that a sweeper wants run now: what Primus's launcher gives to the task function."""

    configs: Sequence[Composed]
    overrides: Sequence[Sequence[str]]
    first_index: int
    parallel: str | int


class Session:
    """One command. Hydra calls `take` with what it composed; `end` gives the exit code or raises what went wrong."""

    def __init__(self, directories: Sequence[Path], original: Original | None) -> None:
        self._directories = directories
        self._original = original
        self._exit_code = OK
        self._error: Exception | None = None
        self._sweep_directory: Path | None = None  # one for all batches of a sweeper
        self._checked: Mapping[str, Any] = {}  # of the job before: what it has in common with this one
        self._alike = Alike()
        self._process = os.getpid()

    def take(self, config: DictConfig | SweepBatch) -> Any:
        """Run one config, or a batch. Never raises: Hydra would print a report of its own and end with 1.

        But in the process of another launcher, which has a copy of this: what is raised there is what the command gets.
        """
        gc.freeze()
        gc.enable()  # see cli.main
        if self._error or self._exit_code == INTERRUPTED:  # a sweeper that goes on with its next batch
            return None
        try:
            return self._sweep(config) if isinstance(config, SweepBatch) else self._single(config)
        except Exception as error:
            if self._is_copy:
                raise
            self._error = error
            return None

    def end(self) -> int:
        """The exit code of the command; raises the exception that ended it early."""
        if self._error:
            raise self._error
        return self._exit_code

    def _single(self, config: DictConfig) -> float | None:
        own = list(HydraConfig.get().overrides.task)  # a job's own, where Hydra's launchers sweep
        if reading.chosen(config).get("hydra/launcher") == parameters.LAUNCHER:
            parameters.take_over(config, HydraConfig.get().launcher)
        asked = self._read(Composed(reading.resolve(config), reading.chosen(config)), own)
        task = member("task", asked.request.task["name"])
        if hasattr(task, "act"):
            self._act(task, asked)
            return None
        surroundings = self._here(asked.request)
        plan = self._plan(asked, surroundings)
        if hasattr(task, "adapted"):
            with reading.located(asked.source):
                plan = task.adapted(plan, surroundings)
        if asked.request.dry_run:
            self._show(plan, asked.request)
            return None
        self._ask([plan], asked.request)
        _warn([plan])
        from primus.launch import run

        streams.outlive_readers()
        secrets = confidential.secret_environment(asked.request.env.set)
        runtime = member("runtime", asked.request.runtime["name"])
        single: Callable[..., run.Ended] = getattr(task, "single", getattr(runtime, "single", run.single))
        with reading.located(asked.source):
            ended = single(plan, asked.request, surroundings, secrets, self._original)
        self._keep(ended.exit_code, f"the job in {plan.directory}")
        return ended.loss

    def _sweep(self, batch: SweepBatch) -> Sequence[float | None]:
        every = [self._read(c, o) for c, o in zip(batch.configs, batch.overrides, strict=True)]
        first = every[0].request
        tasks = [member("task", a.request.task["name"]) for a in every]
        if any(hasattr(task, "act") or hasattr(task, "single") for task in tasks):
            raise BadRequest(f"task={first.task['name']} runs where you type, once: leave out --multirun")
        if len(runtimes := sorted({a.request.runtime["name"] for a in every})) > 1:
            raise BadRequest(f"runtime: the jobs of a sweep run in one place, not in {' and '.join(runtimes)}")
        from primus.launch.sweep import sweep

        surroundings = self._here(first)
        jobs = [planning.recorded(overrides) for overrides in batch.overrides]
        self._sweep_directory = self._sweep_directory or sweep.directory(first, surroundings, jobs)
        directory = self._sweep_directory
        plans = [self._plan(asked, surroundings, directory, batch.first_index + i) for i, asked in enumerate(every)]
        secrets = [confidential.secret_environment(a.request.env.set) for a in every]
        runtime = member("runtime", first.runtime["name"])
        if first.dry_run:
            files = getattr(runtime, "sweep_files", None)
            with reading.located(every[0].source):
                own = files(directory, plans, first, surroundings, secrets) if files else ()
            self._show(plans, first)
            if first.dry_run != "json":
                print("".join(f"\n{directory / file.path}:\n{file.text}" for file in own), end="")
            return [None] * len(plans)
        self._ask(plans, first)
        _warn(plans)
        streams.outlive_readers()
        start = getattr(runtime, "sweep", sweep.run)
        with reading.located(every[0].source):
            ended = start(directory, plans, first, surroundings, secrets, batch.parallel, self._original)
        self._keep(ended.exit_code, "the sweep")
        return ended.losses

    def _keep(self, exit_code: int, what: str) -> None:
        """The worst exit code is that of the command. Raises JobFailed with it in a copy, whose own nobody asks for."""
        self._exit_code = max(self._exit_code, exit_code)
        if exit_code and self._is_copy:
            failed = JobFailed(f"{what} ended with exit code {exit_code}")
            failed.exit_code = exit_code
            raise failed

    @property
    def _is_copy(self) -> bool:
        return os.getpid() != self._process

    def _read(self, config: Composed, overrides: Sequence[str]) -> Asked:
        carried.check_config({k: v for k, v in config.data.items() if self._checked.get(k) is not v})
        self._checked = config.data
        files = () if self._original else self._directories  # the values of a replayed run are not those of the files
        before = self._original.before(config.chosen) if self._original else ()
        source = Origins(tuple(overrides), tuple(files), config.chosen, before)
        return Asked(config.data, reading.request(config.data, source), source)

    def _plan(
        self, asked: Asked, surroundings: place.Place, sweep: Path | None = None, index: int | None = None
    ) -> Plan:
        run_id = place.new_run_id() if index is None else str(index)
        inside, name = sweep, sweep.name if sweep else None
        before = self._original.run if self._original else None
        if before and before.directory and self._resumes:
            run_id, inside, name = before.plan.run_id, before.directory.parent, before.plan.sweep
        with reading.located(asked.source):
            return planning.build(
                asked.request,
                asked.data,
                asked.source,
                surroundings,
                run_id,
                inside=inside,
                sweep=name,
                replay_of=before.run_id if before and not self._resumes else None,
                together=index is not None,
                beside=self._beside(asked),
                alike=self._alike,
            )

    def _beside(self, asked: Asked) -> finding.Found | None:
        """The hooks and patches of the run that this one repeats, unless the user chooses others; None: find them."""
        original = self._original
        keys = {key_of(override).split(".")[0] for override in asked.source.overrides}
        if original is None or original.purpose == "evaluate" or keys & {"hooks", "patches", "task", "backend"}:
            return None
        return finding.of_plan(original.run.plan)

    def _ask(self, plans: Sequence[Plan], request: Request) -> None:
        """Let the user agree to programs of a recorded run that are not those of this machine. Raises BadRequest."""
        if self._original and any(plan.hooks or plan.patches for plan in plans):
            from primus.launch.replaying import consent

            consent.ask(self._original, plans, request.replay_trust, Path.cwd())

    def _here(self, request: Request) -> place.Place:
        """This place; what belongs to an earlier run is looked for where that was started."""
        here = place.here(request.gpu.name, several=request.runtime.get("nodes") != 1)
        if self._original and self._original.purpose != "replay":
            directory = frozen.stood_in(self._original.run.plan)
            return replace(here, directory=directory, code=place.code(directory)) if directory.is_dir() else here
        return here

    @property
    def _resumes(self) -> bool:
        return self._original is not None and self._original.purpose == "resume"

    def _show(self, plans: Plan | Sequence[Plan], request: Request) -> None:
        if request.dry_run == "json":
            _print_json(plain(plans))
        else:
            every = [plans] if isinstance(plans, Plan) else plans
            print("\n\n".join(show.text(p, place.here(p.job.gpu, p.job.nodes > 1)) for p in every))

    def _act(self, task: Any, asked: Asked) -> None:
        settings = reading.typed(task.Settings, asked.request.task, "task", asked.source)
        if not asked.request.dry_run:
            self._keep(task.act(settings, asked.request), f"task={asked.request.task['name']}")
        elif asked.request.dry_run == "json":
            _print_json({"task": asked.request.task["name"], "action": task.describe(settings, asked.request)})
        else:
            print(task.describe(settings, asked.request))


def _warn(plans: Sequence[Plan]) -> None:
    for text in dict.fromkeys(f"{n.label}: {n.text}" for plan in plans for n in plan.notes if n.warning):
        print(f"primus: {text}", file=sys.stderr)


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    print()
