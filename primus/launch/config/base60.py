"""`1:30:00` in a YAML file: a time, as people and Slurm write it. YAML 1.1 reads it to base 60, as the number 5400."""

from collections.abc import Callable
from functools import partial
from typing import Any

import yaml

_NUMBERS: dict[str, Callable[[yaml.SafeLoader, yaml.ScalarNode], Any]] = {
    "tag:yaml.org,2002:int": yaml.SafeLoader.construct_yaml_int,
    "tag:yaml.org,2002:float": yaml.SafeLoader.construct_yaml_float,
}


def keep_text() -> None:
    """From now on it is text to whatever loads YAML safely in this process. OmegaConf makes its loader anew for each
    file, of yaml's. What is written keeps its quotes: other programs read it too."""
    for tag, number in _NUMBERS.items():
        yaml.SafeLoader.add_constructor(tag, partial(_constructed, number))


def _constructed(
    number: Callable[[yaml.SafeLoader, yaml.ScalarNode], Any], loader: yaml.SafeLoader, node: yaml.ScalarNode
) -> Any:
    return node.value if ":" in node.value else number(loader, node)
