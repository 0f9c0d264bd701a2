"""Models by the names of AMD's files, and of TorchTitan's."""

import re

from primus.launch.config import catalog
from primus.launch.problems import BadRequest
from primus.node.typed import closest

# Where the names are not the same but for case. AMD: primus/configs/models/<framework>/ of AMD-AGI/Primus v26.5;
# MaxText's deepseek2-16b is DeepSeek-V2-Lite (maxtext/configs/models/deepseek2-16b.yml, 0.2.5).
_SAME = {
    "mixtral_8x7b_v0.1": "mixtral_8x7b",
    "mixtral_8x22b_v0.1": "mixtral_8x22b",
    "llama4_17b16e": "llama4_scout",
    "llama4_17bx16e": "llama4_scout",
    "llama4_17b128e": "llama4_maverick",
    "llama4_17bx128e": "llama4_maverick",
    "deepseek_v2_16b": "deepseek_v2_lite",
    "deepseek_v3_671b": "deepseek_v3",
}
# `name` and `flavor` of TorchTitan's [model] (torchtitan/models/*/__init__.py); of llama3, flavors are Llama 3.1's.
_FLAVORS = {
    "llama3": "llama3.1_{}",
    "llama4": "llama4_{}",
    "deepseek_v3": "deepseek_v3_{}",
    "qwen3": "qwen3_{}",
    "gpt_oss": "gpt_oss_{}",
}


def model(framework: str | None, name: str) -> str:
    """Our name of a model. Raises BadRequest for one that is not in conf/model, of Primus or a plugin."""
    plain = re.sub(r"\.ya?ml$", "", name).replace("-", "_").lower()
    known = catalog.choices("model", catalog.directories())
    found = name if name in known else _SAME.get(plain, plain)
    if found not in known:
        of = f" of {framework}" if framework else ""
        raise BadRequest(
            f"the model {name!r}{of} is not in conf/model.{closest(found, known)} "
            "A model of your own is a file: CONTRIBUTING.md, `A model`"
        )
    return found


def flavor(name: str, size: str) -> str:
    """Our name of TorchTitan's `model.name` and `model.flavor`. Raises BadRequest."""
    return model("torchtitan", _FLAVORS.get(name, f"{name}_{{}}").format(size))
