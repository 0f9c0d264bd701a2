"""`hydra/launcher=primus`: the jobs of a sweep, packed on the devices of this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class PrimusLauncherConf:
    """`parallel`: how many jobs run at a time; `auto` gives each its own GPUs, or as many cores as it has ranks."""

    _target_: str = "hydra_plugins.primus.launcher.PrimusLauncher"
    parallel: Any = "auto"


ConfigStore.instance().store(group="hydra/launcher", name="primus", node=PrimusLauncherConf, provider="primus")


class PrimusLauncher(Launcher):
    """Composes every job before it starts any: a mistake in the last one costs nothing."""

    def __init__(self, parallel: str | int) -> None:
        self.parallel = parallel

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; each returns its last loss, for sweepers that look for the best."""
        from primus.launch.config import composing
        from primus.launch.session import SweepBatch

        loader = self.context.config_loader
        configs = composing.every(loader, self.config, job_overrides)
        losses = self.task_function(SweepBatch(configs, job_overrides, initial_job_idx, self.parallel))
        return [returned(loss, overrides) for loss, overrides in zip(losses or [], job_overrides, strict=False)]


def returned(loss: float | None, overrides: Sequence[str]) -> JobReturn:
    """What Hydra's sweepers get of a job."""
    job = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
    job.return_value = loss
    return job
