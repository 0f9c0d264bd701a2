"""What is published of a device: the part of its GPU profile that rank.json holds. Standard library alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from primus.node.devices import is_one_of


@dataclass(frozen=True)
class Published:
    """Dense peaks by dtype in TFLOP/s, memory bandwidth in GB/s; nothing of a device without a profile."""

    tflops: Mapping[str, float] = field(default_factory=dict)
    memory_bandwidth: float | None = None


def of_device(gpus: Sequence[Mapping[str, Any]], name: str) -> Published:
    """That of the profile that the driver's name for the device belongs to."""
    found = next((gpu for gpu in gpus if is_one_of(name, gpu["devices"])), None)
    return Published(found["tflops"], found["memory_bandwidth"]) if found else Published()


def share(measured: float, peak: float | None) -> float | None:
    """In percent of what is published; None where nothing is."""
    return 100 * measured / peak if peak else None
