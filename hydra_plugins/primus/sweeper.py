"""`hydra/sweeper=primus`: Hydra's grid of comma-separated values, without the files and the second composition."""

from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser


@dataclass
class PrimusSweeperConf:
    """`max_batch_size`: jobs that are handed to the launcher at a time (None: all); `params`: sweeps given in YAML."""

    _target_: str = "hydra_plugins.primus.sweeper.PrimusSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="primus", node=PrimusSweeperConf, provider="primus")


class PrimusSweeper(BasicSweeper):
    """BasicSweeper of Hydra 1.3.8 writes multirun.yaml (a dry run must not) and composes each job only to check it,
    which Primus's launchers do anyway before they start any: 40 % of the time to the first job of a sweep of 50.
    """

    def sweep(self, arguments: list[str]) -> Any:
        """Expand the grid and hand it to the launcher; raises what a job raised in another process."""
        from primus.launch import elsewhere

        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        self.overrides = self.split_arguments(overrides, self.max_batch_size)
        returned, first = [], 0
        while not self.is_done():
            batch = self.get_job_batch()
            if elsewhere.launcher(self.config):
                self.validate_batch_is_legal(batch)
            with elsewhere.failing(self.config):
                results = self.launcher.launch(batch, initial_job_idx=first)
            for result in results:
                _ = result.return_value  # raises
            returned.append(results)
            first += len(batch)
        return returned
