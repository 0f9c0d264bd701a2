"""`hydra/launcher=primus_slurm`: the jobs of a sweep as one array of Slurm jobs; `runtime=slurm` chooses it."""

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore

from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher


@dataclass
class PrimusSlurmConf(SlurmQueueConf):
    """x"""

    _target_: str = "hydra_plugins.primus.slurm.PrimusSlurmLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="primus_slurm", node=PrimusSlurmConf, provider="primus")


class PrimusSlurmLauncher(SlurmLauncher):
    pass
