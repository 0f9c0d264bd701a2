"""Which layers of a plan count on a node: `gpu=auto` plans every GPU profile, the node takes that of its GPUs. Pure."""

from dataclasses import dataclass
from typing import Optional, Sequence, Tuple

from primus.node.devices import Devices, is_one_of
from primus.node.plan import Gpus, Layer

LAYER = "gpu profile"


@dataclass(frozen=True)
class Chosen:
    """The layers that count; the profile among them that was conditional (empty: none), and what is odd about it."""

    layers: Tuple[Layer, ...]
    profile: str = ""
    warning: Optional[str] = None


def choose(layers: Sequence[Layer], found: Devices) -> Chosen:
    """The layers without a condition, and those whose condition these devices meet."""
    conditions = [layer.only for layer in layers if layer.only]
    profile = _profile(conditions, found) if found.count else None
    name = profile.profile if profile else ""
    left = tuple(layer for layer in layers if layer.only is None or layer.only == profile)
    unknown = bool(conditions) and bool(found.count) and (profile is None or not (profile.pci or profile.devices))
    return Chosen(left, name, _unknown(found, name) if unknown else None)


def _profile(conditions: Sequence[Gpus], found: Devices) -> Optional[Gpus]:
    exact = next((gpus for gpus in conditions if _is_for(gpus, found)), None)
    return exact or next((g for g in conditions if not (g.pci or g.devices) and g.vendor == found.vendor), None)


def _is_for(gpus: Gpus, found: Devices) -> bool:
    """By PCI id where the driver gives no name (`Unknown`, before a GPU was first opened); all GPUs of the node."""
    by_id = bool(found.pci) and set(found.pci) <= set(gpus.pci)
    return by_id or all(is_one_of(model, gpus.devices) for model in found.model.split(", "))


def _unknown(found: Devices, profile: str) -> str:
    ids = f" (PCI {', '.join(found.pci)})" if found.pci else ""
    kind = "GPUs of several kinds" if ", " in found.model else "a GPU"
    return (
        f"no profile is for {found.model}{ids}, {kind} that Primus does not know: its ranks get no tuned environment "
        f"({profile or 'no'} profile), and there are no peaks to say MFU by. To add one, write gpu/<name>.yaml in a "
        "directory for --config-dir, like conf/gpu/h200.yaml, and choose it with gpu=<name>"
    )
