"""The `conf/` folders of installed plugins, in Hydra's search path after Primus's own and before the user's."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class PrimusSearchPath(SearchPathPlugin):
    """Hydra asks every such plugin once for each composition."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add those folders."""
        from primus.launch import plugins

        for folder in plugins.directories("conf"):
            search_path.append("primus plugin", f"file://{folder}")
