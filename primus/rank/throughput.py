"""Throughput of a training step, in the same terms for every framework. Standard library alone."""

from collections.abc import Mapping
from typing import Any

from primus.node.devices import is_one_of


class Throughput:
    """Rates of a job. `measures` is `throughput` of rank.json; `device` the name that the driver gives the GPU.

    `precision` (fp32, bf16, fp8) chooses the peak. MFU is the share of the peak of all devices that the model's own
    arithmetic takes (`flops_per_token`, by launch/throughput.py); without a known peak there is none.
    """

    def __init__(self, measures: Mapping[str, Any], world_size: int, device: str, precision: str) -> None:
        self._flops_per_token = float(measures["flops_per_token"])
        self._world_size = world_size
        self._peak = _peak(measures["peaks"], device, precision)

    def rates(self, tokens: float, seconds: float) -> dict[str, float]:
        """Of a step over all ranks: `tokens` of the global batch, in `seconds`."""
        per_second = tokens / seconds
        per_device = per_second / self._world_size
        rates = {"tokens_per_second": per_second, "tokens_per_second_per_device": per_device}
        if self._peak:
            rates["mfu"] = per_device * self._flops_per_token / self._peak
        return rates


def _peak(peaks: list[dict[str, Any]], device: str, precision: str) -> float | None:
    """FLOP/s of the device, by the profile that its name belongs to; None where there is none."""
    found = [peak["tflops"].get(precision) for peak in peaks if is_one_of(device, peak["devices"])]
    return found[0] * 1e12 if found and found[0] else None
