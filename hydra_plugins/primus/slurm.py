"""`hydra/launcher=primus_slurm`: the jobs of a sweep as one array of Slurm jobs; `runtime=slurm` chooses it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn

from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher


@dataclass
class PrimusSlurmConf(SlurmQueueConf):  # type: ignore[misc]  # hydra-submitit-launcher 1.2.0 has no types
    """Its parent's parameters, which are those of `runtime` by default: `hydra.launcher.partition` is one of them."""

    _target_: str = "hydra_plugins.primus.slurm.PrimusSlurmLauncher"
    timeout_min: Any = "${oc.select:runtime.time}"
    cpus_per_task: Any = "${oc.select:runtime.cpus}"
    gpus_per_node: Any = "${oc.select:runtime.gpus_per_node}"
    nodes: Any = "${oc.select:runtime.nodes}"
    name: Any = "${oc.select:runtime.job_name}"
    partition: Any = "${oc.select:runtime.partition}"
    qos: Any = "${oc.select:runtime.qos}"
    constraint: Any = "${oc.select:runtime.constraint}"
    exclude: Any = "${oc.select:runtime.exclude}"
    account: Any = "${oc.select:runtime.account}"
    signal_delay_s: Any = "${oc.select:runtime.signal}"
    max_num_timeout: Any = "${oc.select:runtime.max_restarts}"
    array_parallelism: Any = "${oc.select:runtime.array_parallelism}"


ConfigStore.instance().store(group="hydra/launcher", name="primus_slurm", node=PrimusSlurmConf, provider="primus")


class PrimusSlurmLauncher(SlurmLauncher):  # type: ignore[misc]  # hydra-submitit-launcher 1.2.0 has no types
    """Composes every job and hands them to `runtime.slurm.sweep`; submitit's own submission, a pickle of a callable
    that the submitting interpreter must run, is not used (docs/adr/0006)."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; each returns its last loss, for sweepers that look for the best."""
        from hydra_plugins.primus.launcher import returned
        from primus.launch.config import composing
        from primus.launch.session import SweepBatch
        from primus.launch.slurm.parameters import take_over

        loader = self.hydra_context.config_loader
        configs = composing.every(loader, self.config, job_overrides, lambda job: take_over(job, job.hydra.launcher))
        losses = self.task_function(SweepBatch(configs, job_overrides, initial_job_idx, "auto"))
        return [returned(loss, overrides) for loss, overrides in zip(losses or [], job_overrides, strict=False)]
