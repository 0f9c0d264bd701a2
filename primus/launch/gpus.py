"""The GPU profiles as data: which one is meant, or what is found here."""

from functools import cache

import yaml

from primus.launch.config import catalog
from primus.launch.config.request import Gpu
from primus.node.devices import is_one_of
from primus.node.typed import read


@cache
def every() -> tuple[Gpu, ...]:
    """Every profile of Primus's own `conf/gpu` that is for GPUs; those of no GPU in particular (amd, nvidia) last."""
    found = catalog.choices("gpu", [catalog.conf_dir()]).values()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML was built with libyaml
    texts = (choice.path.read_text(encoding="utf-8") for choice in found)
    read_in = [read(Gpu, yaml.load(text, Loader=loader), "gpu") for text in texts]
    return tuple(sorted((gpu for gpu in read_in if gpu.vendor), key=lambda gpu: (not gpu.devices, gpu.name)))


def profiles() -> tuple[Gpu, ...]:
    """Those that name devices."""
    return tuple(gpu for gpu in every() if gpu.devices)


def profile(chosen: Gpu, model: str) -> Gpu | None:
    """The profile that was chosen; with `gpu=auto`, that of the GPU `model` found here. None: there is none."""
    if chosen.devices:
        return chosen
    if chosen.name == "cpu" or not model:
        return None
    return next((p for p in profiles() if is_one_of(model, p.devices)), None)
